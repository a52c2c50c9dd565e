/** From a run that fails to a smaller one that fails: fewer faults, operations, clients and members, less time. */

import { drawOptions, type Overrides } from "./options.js";
import { simulate } from "./simulation.js";

/** The smallest overrides found; undefined when the seed does not fail. */
export async function shrink(
  seed: number,
  start: Overrides,
  log: (line: string) => void,
): Promise<Overrides | undefined> {
  const failureOf = async (overrides: Overrides): Promise<{ atMs: number } | undefined> => {
    const result = await simulate(drawOptions(seed, overrides));
    return result.violation === undefined ? undefined : { atMs: result.virtualMs };
  };
  const first = await failureOf(start);
  if (first === undefined) return undefined;
  let smallest = start;
  for (;;) {
    let next: Overrides | undefined;
    for (const candidate of smaller(seed, smallest)) {
      if ((await failureOf(candidate)) === undefined) continue;
      next = candidate;
      break;
    }
    if (next === undefined) return smallest;
    smallest = next;
    log(JSON.stringify(smallest));
  }
}

/** Overrides that make less of a run, the boldest first. */
function smaller(seed: number, overrides: Overrides): readonly Overrides[] {
  const options = drawOptions(seed, overrides);
  const candidates: Overrides[] = [];
  if (options.faults.length > 0) candidates.push({ ...overrides, faults: [] });
  if (options.operations.length > 0) candidates.push({ ...overrides, operations: [] });
  if (options.seconds > 1) candidates.push({ ...overrides, seconds: Math.ceil(options.seconds / 2) });
  for (const fault of options.faults) {
    candidates.push({ ...overrides, faults: options.faults.filter((one) => one !== fault) });
  }
  for (const operation of options.operations) {
    candidates.push({ ...overrides, operations: options.operations.filter((one) => one !== operation) });
  }
  if (options.clients > 1) candidates.push({ ...overrides, clients: Math.ceil(options.clients / 2) });
  if (options.members > 1) candidates.push({ ...overrides, members: options.members === 5 ? 3 : 1 });
  return candidates;
}

export function replayCommand(seed: number, overrides: Overrides): string {
  const extra = Object.keys(overrides).length === 0 ? "" : ` --overrides '${JSON.stringify(overrides)}'`;
  return `npm run sim -- --seed ${seed}${extra}`;
}
