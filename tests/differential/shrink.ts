/** Makes a failing program smaller: drops operations, then fields, as long as it fails on fresh servers. */

import type { Fields, Operation, Program } from "./program.js";

/** Returns the smallest program found within `attemptsMax` tries of `fails`. */
export async function shrink(
  program: Program,
  options: { fails: (candidate: Program) => Promise<boolean>; attemptsMax: number },
): Promise<Program> {
  let smallest = program;
  let attempts = 0;
  const accept = async (operations: readonly Operation[]): Promise<boolean> => {
    attempts++;
    if (attempts > options.attemptsMax || !(await options.fails({ operations }))) {
      return false;
    }
    smallest = { operations };
    return true;
  };
  for (let size = Math.ceil(program.operations.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    // From the end, so that positions before the removed part stay valid.
    for (let start = smallest.operations.length - size; start > -size; start -= size) {
      const { operations } = smallest;
      const from = Math.max(0, start);
      await accept([...operations.slice(0, from), ...operations.slice(start + size)]);
    }
  }
  for (let index = smallest.operations.length - 1; index >= 0; index--) {
    await dropFields(index, () => smallest.operations, accept);
  }
  return smallest;
}

async function dropFields(
  index: number,
  current: () => readonly Operation[],
  accept: (operations: readonly Operation[]) => Promise<boolean>,
): Promise<void> {
  const operation = current()[index];
  if (operation === undefined || !("request" in operation)) {
    return;
  }
  for (const name of Object.keys(operation.request)) {
    const before = current()[index];
    if (before !== undefined && "request" in before) {
      const request: Fields = Object.fromEntries(Object.entries(before.request).filter(([other]) => other !== name));
      await accept(current().map((other, i) => (i === index ? { ...before, request } : other)));
    }
  }
}
