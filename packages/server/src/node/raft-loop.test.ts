import { createMessage, EntryType, MemoryStorage, MessageType, noLimit, RawNode } from "@etcd-ts/raft";
import { expect, test } from "vitest";
import type { Clock } from "../env.js";
import { writeBytesMax } from "./append-work.js";
import { RaftLoop } from "./raft-loop.js";

const electionTick = 10;

/** A follower of member 2 in a cluster of three. Turns run when `turn` is called. */
function follower() {
  const storage = new MemoryStorage();
  storage.applySnapshot({
    data: undefined,
    metadata: {
      index: 1,
      term: 1,
      confState: { voters: [1n, 2n, 3n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
    },
  });
  const raft = new RawNode({
    ...{ id: 1n, storage, electionTick, heartbeatTick: 1, random: () => 0, asyncStorageWrites: true },
    ...{ maxSizePerMessage: noLimit, maxInflightMessages: 256, checkQuorum: true, preVote: true, applied: 1 },
  });
  const deferred: (() => void)[] = [];
  const sent: MessageType[] = [];
  const dropped: number[] = [];
  const writes: number[] = [];
  const none = () => {};
  const loop = new RaftLoop({
    raft,
    log: storage,
    writer: {
      canSaveNow: false,
      save: async (_, entries) => {
        writes.push(entries.reduce((sum, { data }) => sum + (data?.length ?? 0), 0));
        return true;
      },
      saveNow: () => true,
      saveReceivedSnapshot: async () => {},
    },
    clock: { now: () => 0, defer: (callback: () => void) => deferred.push(callback) } as Partial<Clock> as Clock,
    logger: { log: none },
    events: {
      ...{ softStateChanged: none, readConfirmed: none, committed: none, snapshotPersisted: none, failed: none },
      ...{ beforeTurn: () => 0, afterTurn: none, beforeBlocking: none },
      send: (messages) => sent.push(...messages.map(({ type }) => type)),
      proposalDropped: (key) => dropped.push(key),
    },
    electionTimeoutMs: 1000,
    proposalBatchBytesMax: 1_000_000,
  });
  const turn = (): void => {
    for (const callback of deferred.splice(0)) callback();
  };
  const heartbeat = (): void => {
    loop.step(createMessage({ type: MessageType.heartbeat, from: 2n, to: 1n, term: 1 }));
    turn();
  };
  return { loop, turn, heartbeat, sent, dropped, writes };
}

test("a proposal of the turn in which a leader is given up waits for the next leader", () => {
  const { loop, turn, heartbeat, sent, dropped } = follower();
  heartbeat();
  loop.propose(new Uint8Array(1), 7);
  for (let i = 0; i < 2 * electionTick; i++) loop.tick();
  turn();
  expect(loop.softState.lead).toBe(0n);
  expect([dropped, loop.pendingProposals]).toEqual([[], 1]);
  heartbeat();
  turn();
  expect(loop.softState.lead).toBe(2n);
  expect([dropped, loop.pendingProposals]).toEqual([[], 0]);
  expect(sent).toContain(MessageType.prop);
});

test("what comes in during a write becomes writes of limited size, and is acknowledged when all of them are done", async () => {
  const { loop, turn, heartbeat, sent, writes } = follower();
  heartbeat();
  const data = new Uint8Array(writeBytesMax / 4);
  const count = 40;
  for (let i = 0; i < count; i++) {
    const entries = [{ type: EntryType.normal, term: 1, index: 2 + i, data }];
    loop.step(createMessage({ type: MessageType.app, from: 2n, to: 1n, term: 1, logTerm: 1, index: 1 + i, entries }));
    // Half of them in one turn, and so in one message to the log.
    if (i > count / 2) turn();
  }
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    turn();
  }
  expect(Math.max(...writes)).toBeLessThanOrEqual(writeBytesMax);
  expect(writes.reduce((sum, size) => sum + size, 0)).toBe(count * data.length);
  expect(sent.filter((type) => type === MessageType.appResp)).toHaveLength(count);
});
