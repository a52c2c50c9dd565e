import { describe, expect, test } from "vitest";
import { RaftError } from "./errors.js";
import { MemoryStorage } from "./memory-storage.js";
import { RawNode } from "./raw-node.js";
import { bytesOf, electedLeader, snapshotAt, storageWith, TestNode, votersTo } from "./testing/group.js";
import { SeededRandom } from "./testing/random.js";
import {
  createMessage,
  type Entry,
  emptyConfState,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  noLimit,
  RaftState,
} from "./types.js";
import { messageFromWire } from "./wire.js";

const limits = { electionTick: 10, heartbeatTick: 1, maxSizePerMessage: noLimit, maxInflightMessages: 256 };

describe("configuration", () => {
  const valid = { ...limits, id: 1n, storage: new MemoryStorage(), random: () => 0 };
  test.each([
    [{ id: 0n }, "cannot use none as id"],
    [{ id: localAppendThread }, "cannot use local target as id"],
    [{ id: localApplyThread }, "cannot use local target as id"],
    [{ heartbeatTick: 0 }, "heartbeat tick must be greater than 0"],
    [{ electionTick: 1 }, "election tick must be greater than heartbeat tick"],
    [{ maxInflightMessages: 0 }, "max inflight messages must be greater than 0"],
    [{ maxInflightBytes: 1 }, "max inflight bytes must be >= max message size"],
    [{ readOnlyOption: "lease-based" as const }, "CheckQuorum must be enabled"],
  ])("%o is refused", (change, text) => {
    expect(() => new RawNode({ ...valid, ...change })).toThrow(text);
    expect(() => new RawNode(valid)).not.toThrow();
  });

  test("a storage that contradicts itself is refused", () => {
    const storage = storageWith(votersTo(3), [1, 1], { commit: 3 });
    expect(() => new TestNode(storage)).toThrow("1 state.commit 3 is out of range [0, 2]");
    const overlap = storageWith({ ...votersTo(3), learners: [2n] });
    expect(() => new TestNode(overlap)).toThrow("unable to restore config");
  });
});

describe("bootstrap", () => {
  const peers = [1n, 2n, 3n].map((id) => ({ id, context: bytesOf(`peer ${id}`) }));

  test("the peers become committed entries of term 1", () => {
    const one = new TestNode(new MemoryStorage());
    one.node.bootstrap(peers);
    const ready = one.node.ready();
    expect(ready.hardState).toEqual({ term: 1, vote: 0n, commit: 3 });
    expect(ready.entries.map(({ term, index, type }) => [term, index, type])).toEqual([
      [1, 1, 1],
      [1, 2, 1],
      [1, 3, 1],
    ]);
    expect(ready.committedEntries).toEqual(ready.entries);
    expect(one.node.status().confState.voters).toEqual([1n, 2n, 3n]);
  });

  test("only on an empty storage, and with peers", () => {
    expect(() => new TestNode(storageWith(votersTo(1), [1])).node.bootstrap(peers)).toThrow("nonempty Storage");
    expect(() => new TestNode(new MemoryStorage()).node.bootstrap([])).toThrow("at least one peer");
  });
});

describe("proposals", () => {
  test("several at once travel in one message and are refused together", () => {
    const leader = electedLeader(3, { maxUncommittedEntriesSize: 4 });
    leader.receive(MessageType.appResp, { from: 2n, index: 1 });
    expect(leader.node.proposeMany([bytesOf("ab"), bytesOf("cd")])).toBeUndefined();
    const sent = leader.work().filter(({ to }) => to === 2n);
    expect(sent.map(({ entries }) => entries.map(({ index }) => index))).toEqual([[2, 3]]);
    expect(leader.node.proposeMany([bytesOf("e"), bytesOf("f")])?.code).toBe("proposal-dropped");
    expect(leader.raft.log.lastIndex()).toBe(3);
  });

  test("none at all is malformed, wherever", () => {
    expect(electedLeader(1).node.proposeMany([])?.code).toBe("malformed");
    expect(new TestNode(storageWith(votersTo(3))).node.proposeMany([])?.code).toBe("malformed");
  });
});

describe("contract", () => {
  test("advance is for synchronous storage writes only", () => {
    const node = new TestNode(storageWith(votersTo(1)), { asyncStorageWrites: true });
    expect(() => node.node.advance()).toThrow(RaftError);
  });

  test("a change that a snapshot has overtaken is ignored", () => {
    const node = new TestNode(storageWith(votersTo(3)));
    const snapshot = snapshotAt(9, 1, votersTo(3));
    node.receive(MessageType.snap, { term: 1, snapshot });
    const change = { type: 0, nodeId: 4n, id: 0n, context: undefined } as const;
    expect(node.node.applyConfChange(change, 8).voters).toHaveLength(3);
    expect(node.node.applyConfChange(change, 10).voters).toHaveLength(4);
  });

  test("an impossible change is refused and changes nothing", () => {
    const node = new TestNode(storageWith(votersTo(1)));
    const change = { type: 1, nodeId: 1n, id: 0n, context: undefined } as const;
    expect(() => node.node.applyConfChange(change)).toThrow("removed all voters");
    expect(node.node.status().confState.voters).toEqual([1n]);
  });

  test("status tells role, configuration and progress", () => {
    const leader = electedLeader(3);
    const { softState, progress, confState } = leader.node.status();
    expect(softState).toEqual({ lead: 1n, raftState: RaftState.leader });
    expect(confState.voters).toEqual([1n, 2n, 3n]);
    expect(progress.map(({ id, match, state }) => [id, match, state])).toEqual([
      [1n, 1, "replicate"],
      [2n, 0, "probe"],
      [3n, 0, "probe"],
    ]);
    expect(leader.node.basicStatus()).not.toHaveProperty("progress");
  });
});

describe("messages that no correct node sends", () => {
  const { app, appResp, beat, heartbeat, hup, prop, readIndex, snap, storageAppendResp, vote } = MessageType;
  const base = { from: 2n, to: 1n, term: 2 };
  const entry = (term: number, index: number): Entry => ({ type: 0, term, index, data: undefined });

  test.each<[string, Partial<Message> & Pick<Message, "type">, string]>([
    ["a local type", { type: hup, term: 0 }, "local-message"],
    ["another local type", { type: beat, term: 0 }, "local-message"],
    [
      "a storage thread's answer, without such threads",
      { type: storageAppendResp, from: localAppendThread },
      "local-message",
    ],
    ["any type from a storage thread", { type: app, from: localApplyThread }, "local-message"],
    ["an answer from a stranger", { type: appResp, from: 9n }, "peer-not-found"],
    ["a vote without a term", { type: vote, term: 0 }, "malformed"],
    ["an append from nobody", { type: app, from: 0n }, "malformed"],
    ["an append from the node itself", { type: app, from: 1n }, "malformed"],
    ["an append to another node", { type: app, to: 3n }, "malformed"],
    ["a proposal without entries", { type: prop, term: 0 }, "malformed"],
    ["a proposal with a term", { type: prop, entries: [entry(0, 0)] }, "malformed"],
    ["a read without a context", { type: readIndex, term: 0, entries: [entry(0, 0)] }, "malformed"],
    ["a gap between entries", { type: app, entries: [entry(1, 1), entry(1, 3)] }, "malformed"],
    ["entries that do not follow", { type: app, entries: [entry(1, 2)] }, "malformed"],
    ["falling terms", { type: app, entries: [entry(2, 1), entry(1, 2)] }, "malformed"],
    ["entries of a future term", { type: app, entries: [entry(3, 1)] }, "malformed"],
    ["a snapshot message without one", { type: snap }, "malformed"],
    ["a snapshot of a future term", { type: snap, snapshot: snapshotAt(5, 3, votersTo(3)) }, "malformed"],
    [
      "a snapshot of no possible configuration",
      { type: snap, snapshot: snapshotAt(5, 1, { ...votersTo(3), learners: [2n] }) },
      "malformed",
    ],
    ["a commit index beyond the log", { type: heartbeat, commit: 1 }, "log-lost"],
    ["an unknown type", { type: 99 as MessageType }, "malformed"],
  ])("%s", (_name, fields, code) => {
    const node = new TestNode(storageWith(votersTo(3)));
    expect(node.node.step(createMessage({ ...base, ...fields }))?.code).toBe(code);
  });

  test("an acknowledgement beyond the leader's log", () => {
    const leader = electedLeader(3);
    const message = createMessage({ type: appResp, from: 2n, to: 1n, term: 1, index: 2 });
    expect(leader.node.step(message)?.code).toBe("malformed");
    expect(leader.node.status().progress[1]).toMatchObject({ match: 0 });
  });

  test("a proposed configuration change that cannot be decoded", () => {
    const leader = electedLeader(3);
    const entries = [{ type: 1, term: 0, index: 0, data: Uint8Array.of(0xff) }] as const;
    expect(leader.node.step(createMessage({ type: prop, from: 2n, to: 1n, entries }))?.code).toBe("malformed");
  });

  test("300 000 random ones are refused or taken, and nothing else happens", () => {
    const random = new SeededRandom(1);
    const codes = new Set<string | undefined>();
    for (let group = 0; group < 300; group++) {
      const asyncStorageWrites = random.chance(0.2);
      const node = new TestNode(
        storageWith({ ...votersTo(3), learners: [4n] }, [1, 1, 2], { commit: random.integer(3) }),
        {
          asyncStorageWrites,
          preVote: random.chance(0.5),
          checkQuorum: random.chance(0.5),
          stepDownOnRemoval: random.chance(0.5),
          random: (bound) => random.integer(bound),
        },
      );
      for (let i = 0; i < 1000; i++) {
        if (random.chance(0.05)) node.node.tick();
        if (random.chance(0.02)) node.node.propose(new Uint8Array(random.integer(9)));
        const message = randomMessage(random, node);
        // A transport lets nothing through that claims to be from the node itself or its storage threads.
        if (asyncStorageWrites && [1n, localAppendThread, localApplyThread].includes(message.from)) continue;
        const refusal = node.node.step(message);
        codes.add(refusal?.code);
        // A node whose log was lost is stopped.
        if (refusal?.code === "log-lost") break;
        if (!asyncStorageWrites && random.chance(0.3)) node.work();
      }
    }
    expect([...codes].sort()).toEqual([
      "local-message",
      "log-lost",
      "malformed",
      "peer-not-found",
      "proposal-dropped",
      undefined,
    ]);
  });
});

/** Fields near the node's own state, so that many a message is almost right. */
function randomMessage(random: SeededRandom, { raft }: TestNode): Message {
  const id = () => random.pick([0n, 1n, 2n, 2n, 3n, 3n, 4n, 9n, localAppendThread, localApplyThread]);
  const near = (value: number) => random.pick([0, 1, value - 1, value, value, value + 1, value + 3, 2 ** 53 - 2]);
  const last = raft.log.lastIndex();
  const bytes = (length: number) => Uint8Array.from({ length: random.integer(length) }, () => random.integer(256));
  const index = Math.max(0, near(last));
  const ids = (count: number) => Array.from({ length: random.integer(count) }, id);
  const entry = (at: number): Entry => ({
    type: random.pick([0, 0, 0, 1, 2, 7]) as Entry["type"],
    term: Math.max(0, random.pick([raft.term, near(raft.term)])),
    index: random.pick([at, at, at, near(last)]),
    data: random.chance(0.5) ? undefined : bytes(9),
  });
  return {
    type: random.integer(26) as MessageType,
    to: random.chance(0.9) ? 1n : id(),
    from: id(),
    // The highest terms would leave no room for elections.
    term: Math.max(0, random.pick([0, raft.term, raft.term, raft.term + 1, raft.term - 1])),
    logTerm: Math.max(0, near(raft.term)),
    index,
    entries: Array.from({ length: random.integer(3) }, (_, i) => entry(index + 1 + i)),
    commit: random.pick([0, raft.log.committed, random.chance(0.02) ? near(last) : 0]),
    snapshot: random.chance(0.2)
      ? snapshotAt(near(last), near(raft.term), {
          ...emptyConfState,
          voters: ids(4),
          learners: ids(2),
          votersOutgoing: ids(2),
          autoLeave: random.chance(0.5),
        })
      : undefined,
    reject: random.chance(0.3),
    rejectHint: Math.max(0, near(last)),
    context: random.chance(0.3) ? bytes(12) : undefined,
    vote: id(),
    responses: [],
  };
}

describe("messages from the wire", () => {
  test("are taken as they are, but for the missing parts of a snapshot and responses", () => {
    const plain = createMessage({ type: MessageType.app, term: 1 });
    expect(messageFromWire(plain)).toBe(plain);
    const bare = { ...plain, snapshot: { data: undefined, metadata: undefined } };
    expect(messageFromWire(bare).snapshot?.metadata.index).toBe(0);
    const partial = { ...plain, snapshot: { data: undefined, metadata: { confState: undefined, index: 3, term: 2 } } };
    expect(messageFromWire(partial).snapshot).toEqual(snapshotAt(3, 2, emptyConfState));
    expect(messageFromWire({ ...plain, responses: [plain] }).responses).toEqual([]);
  });
});
