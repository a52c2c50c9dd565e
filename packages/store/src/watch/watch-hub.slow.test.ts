import { bytesFromLatin1, crc32c } from "@etcd-ts/api";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../memory-backend.js";
import { Mvcc } from "../mvcc/mvcc.js";
import type { Change } from "./source.js";
import { FakeSource, type Write } from "./testing/fake-source.js";
import { command, Scenario, type ScenarioStore } from "./testing/scenario.js";

function fakeStore(): ScenarioStore {
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

/** The real store; the fake one runs beside it and knows the history. */
function mvccStore(): ScenarioStore {
  const noLeases = { leaseOf: () => 0n, attach: () => false, detach: () => {} };
  const mvcc = new Mvcc({
    backend: new MemoryBackend(),
    leases: noLeases,
    crc32c,
    ringSizeBytes: 256,
    ringBufferBytes: 128,
  });
  const model = new FakeSource();
  return {
    source: mvcc,
    history: model.history,
    write: (writes: readonly Write[], published: (revision: number, changes: readonly Change[]) => void) => {
      model.write(writes);
      mvcc.setListener(published);
      const txn = mvcc.begin();
      for (const { key, value } of writes) {
        if (value === undefined) txn.deleteKey(key);
        else txn.put(key, bytesFromLatin1(value), 0n);
      }
      mvcc.publish(txn);
    },
    compact: (revision) => {
      mvcc.compact(revision);
      mvcc.compactionStep(3);
    },
  };
}

function runMany(newStore: () => ScenarioStore, options: { seed: number; numRuns: number; size: number }): void {
  const total = { commands: 0, events: 0, compacted: 0, progress: 0, fragments: 0 };
  const limits = fc.record({
    syncWatchersMax: fc.constantFrom(1, 2, 100),
    syncRevisionsMax: fc.constantFrom(1, 2, 1000),
    syncBytesMax: fc.constantFrom(1, 50, 100_000),
  });
  fc.assert(
    fc.property(
      limits,
      fc.array(command, { minLength: options.size / 2, maxLength: options.size, size: "max" }),
      (each, commands) => {
        const scenario = new Scenario(newStore(), each);
        scenario.run({ kind: "open", eventsMax: 2, bytesMax: 1000, fragmentBytes: 100 });
        for (const one of commands) scenario.run(one);
        scenario.finish();
        total.commands += commands.length;
        for (const [name, count] of Object.entries(scenario.counts)) total[name as "events"] += count;
      },
    ),
    { seed: options.seed, numRuns: options.numRuns },
  );
  // The scenarios reach what they are about.
  expect(total.commands).toBeGreaterThan((options.numRuns * options.size) / 2);
  expect(total.events).toBeGreaterThan(total.commands / 10);
  for (const count of [total.compacted, total.progress, total.fragments]) {
    expect(count).toBeGreaterThan(total.commands / 1000);
  }
}

describe("the watch hub gives every watcher every event or one cancellation", () => {
  it("in 120 000 random commands on a fake store", () => {
    runMany(fakeStore, { seed: 1, numRuns: 1200, size: 150 });
  });

  it("in 60 000 random commands on the real store", () => {
    runMany(mvccStore, { seed: 2, numRuns: 600, size: 150 });
  });
});
