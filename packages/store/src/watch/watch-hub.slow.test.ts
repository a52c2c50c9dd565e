import { bytesFromLatin1, crc32c } from "@etcd-ts/api";
import { describe, it } from "vitest";
import { MemoryBackend } from "../memory-backend.js";
import { Mvcc } from "../mvcc/mvcc.js";
import { FakeSource } from "./testing/fake-source.js";
import { fakeStore, runScenarios } from "./testing/run-scenarios.js";
import type { ScenarioStore } from "./testing/scenario.js";

/** The real store, with next to no cache of records; the fake one runs beside it and knows the history. */
function mvccStore(): ScenarioStore {
  const mvcc = new Mvcc({
    backend: new MemoryBackend(),
    leases: { leaseOf: () => 0n, attach: () => false, detach: () => {} },
    crc32c,
    ringSizeBytes: 256,
    ringBufferBytes: 128,
  });
  const model = new FakeSource();
  return {
    source: mvcc,
    history: model.history,
    write: (writes, published) => {
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

describe("the watch hub gives every watcher every event or one cancellation", () => {
  it("in 280 000 random commands on a fake store", () => {
    runScenarios(fakeStore, { seed: 1, numRuns: 2500, commandsMax: 150 });
  });

  it("in 110 000 random commands on the real store", () => {
    runScenarios(mvccStore, { seed: 2, numRuns: 1000, commandsMax: 150 });
  });
});
