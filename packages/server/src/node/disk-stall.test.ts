import { none, type ProgressStatus, RaftState, type Status } from "@etcd-ts/raft";
import { beforeEach, expect, test } from "vitest";
import { DiskStall } from "./disk-stall.js";

const electionTimeoutMs = 1000;
const self = 1n;

let now: number;
let raftState: Status["softState"];
let leadTransferee: bigint;
let voters: readonly bigint[];
let peers: readonly Pick<ProgressStatus, "id" | "match" | "isLearner" | "recentActive">[];
let transfers: bigint[];
let stall: DiskStall;

function status(): Status {
  const progress = [{ id: self, match: 5, isLearner: false, recentActive: true }, ...peers] as ProgressStatus[];
  const confState = { voters, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
  const hardState = { term: 1, vote: self, commit: 9 };
  return { id: self, softState: raftState, hardState, applied: 9, leadTransferee, confState, progress };
}

beforeEach(() => {
  now = 0;
  raftState = { lead: self, raftState: RaftState.leader };
  leadTransferee = none;
  voters = [1n, 2n, 3n, 4n];
  peers = [
    { id: 2n, match: 7, isLearner: false, recentActive: true },
    { id: 3n, match: 8, isLearner: false, recentActive: true },
    { id: 4n, match: 9, isLearner: false, recentActive: false },
    { id: 5n, match: 9, isLearner: true, recentActive: true },
  ];
  transfers = [];
  stall = new DiskStall({
    raft: { basicStatus: status, status, transferLeader: (id) => transfers.push(id) },
    clock: { now: () => now } as never,
    logger: { log: () => {} },
    electionTimeoutMs,
  });
  stall.writeBegan();
});

function tickAt(ms: number): boolean {
  now = ms;
  return stall.beforeTick();
}

test("a write that is under way for less than an election timeout changes nothing", () => {
  expect(tickAt(999)).toBe(true);
  expect([transfers, stall.isSuspended]).toEqual([[], false]);
});

test("after an election timeout the active voter with the longest log is to lead; ticks go on, since raft times it", () => {
  expect(tickAt(1000)).toBe(true);
  expect(transfers).toEqual([3n]);
  leadTransferee = 3n;
  expect(tickAt(1100)).toBe(true);
  expect(transfers).toEqual([3n]);
  // Also when the disk is well again: raft goes on refusing proposals until it is over.
  stall.writeEnded();
  expect(stall.isHandingOver).toBe(true);
  leadTransferee = none;
  expect(stall.isHandingOver).toBe(false);
});

test("without an active voter it is asked again at each tick", () => {
  peers = peers.map((peer) => ({ ...peer, recentActive: false }));
  tickAt(1000);
  expect(transfers).toEqual([]);
  peers = peers.map((peer) => ({ ...peer, recentActive: peer.id === 2n }));
  tickAt(1100);
  expect(transfers).toEqual([2n]);
});

test("if none takes over, it is suspended until the write has ended", () => {
  tickAt(1000);
  expect(stall.isSuspended).toBe(false);
  expect(tickAt(2000)).toBe(true);
  expect(stall.isSuspended).toBe(true);
  raftState = { lead: none, raftState: RaftState.follower };
  expect(tickAt(9000)).toBe(false);
  expect(stall.isSuspended).toBe(true);
  stall.writeEnded();
  expect(stall.isSuspended).toBe(false);
  expect(tickAt(9100)).toBe(true);
});

test("a member with a hanging disk that follows another leader passes on what it is asked, and never stands for election", () => {
  raftState = { lead: 2n, raftState: RaftState.follower };
  expect(tickAt(1000)).toBe(false);
  expect(tickAt(2000)).toBe(false);
  expect([transfers, stall.isSuspended]).toEqual([[], false]);
});

test("the only voter waits for its disk", () => {
  voters = [self];
  expect(tickAt(60_000)).toBe(true);
  expect([transfers, stall.isSuspended]).toEqual([[], false]);
});
