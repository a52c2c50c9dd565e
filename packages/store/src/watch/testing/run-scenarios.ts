/** Runs many random scenarios, each on a store of its own, and checks that they reached what they are about. */

import fc from "fast-check";
import { expect } from "vitest";
import { FakeSource } from "./fake-source.js";
import { command, Scenario, type ScenarioStore } from "./scenario.js";

export function fakeStore(): ScenarioStore {
  const source = new FakeSource();
  return {
    source,
    history: source.history,
    write: (writes, published) => {
      const { revision, changes } = source.write(writes);
      if (changes.length > 0) published(revision, changes);
    },
    compact: (revision) => source.compact(revision),
  };
}

export function runScenarios(
  newStore: () => ScenarioStore,
  options: { readonly seed: number; readonly numRuns: number; readonly commandsMax: number },
): void {
  const { seed, numRuns, commandsMax } = options;
  const total = { commands: 0, events: 0, compacted: 0, progress: 0, fragments: 0, packed: 0 };
  // Tiny limits, so that every one is met.
  const limits = fc.record({
    syncWatchersMax: fc.constantFrom(1, 2, 100),
    syncRevisionsMax: fc.constantFrom(1, 2, 1000),
    syncBytesMax: fc.constantFrom(1, 50, 100_000),
    packedBytesMin: fc.constantFrom(1, 30, 100_000),
  });
  const commands = fc.array(command, { minLength: commandsMax / 2, maxLength: commandsMax, size: "max" });
  fc.assert(
    fc.property(limits, commands, (each, steps) => {
      const scenario = new Scenario(newStore(), each);
      scenario.run({ kind: "open", eventsMax: 2, bytesMax: 1000, fragmentBytes: 100 });
      for (const step of steps) scenario.run(step);
      scenario.finish();
      total.commands += steps.length;
      total.events += scenario.counts.events;
      total.compacted += scenario.counts.compacted;
      total.progress += scenario.counts.progress;
      total.fragments += scenario.counts.fragments;
      total.packed += scenario.counts.packed;
    }),
    { seed, numRuns },
  );
  expect(total.commands).toBeGreaterThan((numRuns * commandsMax) / 2);
  expect(total.events).toBeGreaterThan(total.commands / 10);
  for (const count of [total.compacted, total.progress, total.fragments, total.packed]) {
    expect(count).toBeGreaterThan(total.commands / 1000);
  }
}
