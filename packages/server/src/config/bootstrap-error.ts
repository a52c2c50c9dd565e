/** The member cannot be started, for a reason the operator must see to. One line. */
export class BootstrapError extends Error {
  override readonly name = "BootstrapError";
}
