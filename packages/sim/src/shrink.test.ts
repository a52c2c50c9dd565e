import { describe, expect, test } from "vitest";
import { drawOptions, type Overrides } from "./options.js";
import { replayCommand, type ShrinkRun, shrink } from "./shrink.js";

const names = Array.from({ length: 40 }, (_, i) => (i % 4 === 3 ? `o${i}` : `f${i}`));

/** A run that fails if all of `needed` happen, there are enough clients and members, and it goes on for long enough. */
function fake(needed: readonly string[], least: { clients: number; members: number; seconds: number }) {
  const seen: Overrides[] = [];
  const run = (overrides: Overrides): Promise<ShrinkRun> => {
    seen.push(overrides);
    const options = { ...drawOptions(1, { seconds: 20, clients: 16, members: 5 }), ...overrides };
    const happened = names.filter((name) => options.only?.includes(name) !== false);
    const fails =
      needed.every((name) => happened.includes(name)) &&
      options.clients >= least.clients &&
      options.members >= least.members &&
      options.seconds >= least.seconds;
    return Promise.resolve({
      options,
      violation: fails ? "at 1.0 ms: broken" : undefined,
      virtualMs: fails ? least.seconds * 1000 - 1 : 50_000,
      steps: happened.map((name, i) => ({ name, atMs: i, text: "kill m1" })),
    });
  };
  return { run, seen };
}

const quiet = { runsMax: 500, log: (): void => {} };

describe("the shrinker", () => {
  test("says that a run does not fail", async () => {
    const { run } = fake(["f99"], { clients: 1, members: 1, seconds: 1 });
    expect(await shrink(1, {}, { ...quiet, run })).toBeUndefined();
  });

  test("keeps the steps, the clients, the members and the time that it takes", async () => {
    const { run } = fake(["f4", "o7", "f30"], { clients: 4, members: 3, seconds: 5 });
    const shrunk = await shrink(1, {}, { ...quiet, run });
    expect(shrunk?.overrides).toEqual({ only: ["f4", "o7", "f30"], clients: 4, members: 3, seconds: 5 });
    expect(shrunk?.run.steps.map(({ name }) => name)).toEqual(["f4", "o7", "f30"]);
  });

  test("leaves out everything when nothing is needed", async () => {
    const { run } = fake([], { clients: 1, members: 1, seconds: 1 });
    const shrunk = await shrink(1, {}, { ...quiet, run });
    expect(shrunk?.overrides).toEqual({ only: [], clients: 1, members: 1, seconds: 1 });
  });

  test("what it returns has failed, also when it must stop before the end", async () => {
    for (const runsMax of [1, 2, 5, 12]) {
      const { run, seen } = fake(["f4", "f33"], { clients: 2, members: 1, seconds: 3 });
      const shrunk = await shrink(1, {}, { ...quiet, runsMax, run });
      expect(seen.length).toBeLessThanOrEqual(runsMax);
      expect(shrunk?.runs).toBe(seen.length);
      expect((await run(shrunk?.overrides ?? {})).violation).toBeDefined();
    }
  });

  test("finds a single step among forty in a few runs", async () => {
    const { run } = fake(["f17"], { clients: 16, members: 5, seconds: 20 });
    const shrunk = await shrink(1, {}, { ...quiet, run });
    expect(shrunk?.overrides.only).toEqual(["f17"]);
    expect(shrunk?.runs).toBeLessThan(60);
  });

  test("begins with the overrides it is given, and prints them in the command", async () => {
    const { run, seen } = fake([], { clients: 1, members: 1, seconds: 1 });
    await shrink(1, { leases: false }, { ...quiet, run });
    expect(seen.every((overrides) => overrides.leases === false)).toBe(true);
    expect(replayCommand(5, { leases: false })).toBe(`npm run sim -- --seed 5 --overrides '{"leases":false}'`);
    expect(replayCommand(5, {})).toBe("npm run sim -- --seed 5");
  });
});
