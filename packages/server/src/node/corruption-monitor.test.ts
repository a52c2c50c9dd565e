import type { KeyValueHash } from "@etcd-ts/store";
import { beforeEach, describe, expect, test } from "vitest";
import { type CheckedMember, CorruptionMonitor, type PeerHash } from "./corruption-monitor.js";

const self = 1n;

let own: KeyValueHash[];
let compactions: KeyValueHash[];
let peers: Record<number, PeerHash[]>;
let memberIds: bigint[];
let alarmed: bigint[];
let isLeader: boolean;
let timers: (() => void)[];
let monitor: CorruptionMonitor;

function hash(revision: number, value = 7, compactRevision = 3): KeyValueHash {
  return { hash: value, compactRevision, hashRevision: revision };
}

function peer(id: bigint, value = 7, compactRevision = 3, revision = 10): PeerHash {
  return { id, revision, hash: value, compactRevision };
}

beforeEach(() => {
  own = [hash(10)];
  compactions = [];
  peers = {};
  memberIds = [1n, 2n, 3n];
  alarmed = [];
  isLeader = true;
  timers = [];
  const member = {
    memberId: self,
    get isLeader() {
      return isLeader;
    },
    clock: {
      setTimer: (_delay: number, callback: () => void) => {
        timers.push(callback);
        return { cancel: () => {} };
      },
    },
    logger: { log: () => {} },
    mvcc: {
      startHash: () => undefined,
      currentRevision: () => 10,
      compactionHashes: () => compactions,
    },
    membership: { members: () => memberIds.map((id) => ({ id })) },
    runSliced: (_read: unknown, done: (result: unknown) => void) => done(own.length > 1 ? own.shift() : own[0]),
    linearizableRead: (done: (refusal: undefined) => void) => done(undefined),
    raiseCorrupt: (memberId: bigint) => alarmed.push(memberId),
  } as unknown as CheckedMember;
  monitor = new CorruptionMonitor({
    member,
    peerHashes: (revision) => Promise.resolve(peers[revision] ?? []),
    allEveryMs: 0,
    compactionsEveryMs: 1000,
  });
});

describe("before serving", () => {
  test.each<[string, PeerHash[], string | undefined]>([
    ["equal", [peer(2n), peer(3n)], undefined],
    ["nobody answers", [], undefined],
    ["one differs", [peer(2n), peer(3n, 8)], "1 found data inconsistency with peers"],
    ["one that differs has compacted elsewhere", [peer(3n, 8, 4)], undefined],
  ])("%s", async (_name, answers, expected) => {
    peers[10] = answers;
    expect(await monitor.checkInitially()).toBe(expected);
  });

  test("alone there is nothing to compare", async () => {
    memberIds = [self];
    peers[10] = [peer(2n, 8)];
    expect(await monitor.checkInitially()).toBeUndefined();
  });
});

describe("hashes of compactions", () => {
  test.each<[string, PeerHash[], bigint[]]>([
    ["equal", [peer(2n), peer(3n)], []],
    ["one differs from two", [peer(2n, 8), peer(3n)], [2n]],
    ["the leader differs from two", [peer(2n, 8), peer(3n, 8)], [self]],
    ["all differ", [peer(2n, 8), peer(3n, 9)], [0n]],
    ["one differs, one is away: nobody has a quorum", [peer(2n, 8)], [0n]],
    ["compacted elsewhere", [peer(2n, 8, 4), peer(3n, 8, 4)], []],
  ])("%s", async (_name, answers, expected) => {
    compactions = [hash(9)];
    peers[9] = answers;
    await monitor.checkCompactions();
    expect(alarmed).toEqual(expected);
  });

  test("older ones are compared until one was compared with all members, and never again", async () => {
    compactions = [hash(9), hash(8), hash(7)];
    peers = { 9: [peer(2n)], 8: [peer(2n), peer(3n)], 7: [peer(2n, 8), peer(3n)] };
    await monitor.checkCompactions();
    expect(alarmed).toEqual([]);
    peers[8] = [peer(2n, 8), peer(3n)];
    await monitor.checkCompactions();
    expect(alarmed).toEqual([]);
    peers[9] = [peer(2n, 8), peer(3n)];
    await monitor.checkCompactions();
    expect(alarmed).toEqual([2n]);
  });

  test("only the leader compares, and goes on when it leads again", async () => {
    compactions = [hash(9)];
    peers[9] = [peer(2n, 8), peer(3n)];
    isLeader = false;
    monitor.start();
    timers.shift()?.();
    expect(alarmed).toEqual([]);
    isLeader = true;
    timers.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(alarmed).toEqual([2n]);
    expect(timers.length).toBe(1);
  });
});

describe("all data", () => {
  test.each<[string, KeyValueHash[], PeerHash[], bigint[]]>([
    ["equal", [hash(10), hash(12)], [peer(2n), peer(3n)], []],
    ["a peer differs", [hash(10), hash(12)], [peer(2n, 8), peer(3n, 9)], [2n]],
    ["this member differs from itself", [hash(10), hash(10, 8)], [peer(2n, 8)], [self]],
    ["a peer is ahead of what is committed", [hash(10), hash(12)], [peer(3n, 7, 3, 13)], [3n]],
    ["a peer has compacted what was never to be", [hash(10), hash(12)], [peer(3n, 7, 4)], [3n]],
    ["compacted meanwhile", [hash(10), hash(12, 7, 4)], [peer(3n, 8, 4)], []],
  ])("%s", async (_name, hashes, answers, expected) => {
    own = hashes;
    peers[10] = answers;
    await monitor.checkAll();
    expect(alarmed).toEqual(expected);
  });
});
