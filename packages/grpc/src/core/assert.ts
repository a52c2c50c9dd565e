/** A statement about our own code that cannot be false unless there is a bug. Never used on input. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${why}`);
}
