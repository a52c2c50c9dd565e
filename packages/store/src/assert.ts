/**
 * Assertions: for bugs only, never for input. They stay on in production, because a replicated state machine that goes
 * on after one of its invariants broke spreads the damage; the node stops instead.
 */

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws unless `condition` holds. `why` says what must be true, lower case, without a full stop. */
export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new AssertionError(`assertion failed: ${why}`);
}
