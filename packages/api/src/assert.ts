/** Stops on a bug of ours. Never for what a client, a peer or a disk sent. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new AssertionError(why);
}

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}
