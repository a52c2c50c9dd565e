/**
 * Three nodes in memory: the schedule that bench/raft.ts runs, and tests/interop/go/raftbench does likewise. In a round
 * the leader takes `batch` proposals, each by its own call; then the nodes, in turn, handle what they have ready, and
 * get what was sent to them, until nothing is left to do. Every message is encoded and decoded.
 */

import { decodeMessage, encodeMessage, sizeMessage } from "@etcd-ts/api/raftpb";
import { MemoryStorage, messageFromWire, type NodeId, RaftState, RawNode } from "@etcd-ts/raft";

/** Ids as etcd makes them: all 64 bits in use. */
const ids: readonly NodeId[] = [0x8e9e05c52164694dn, 0x91bc3c398fb3c146n, 0xfd422379fda50e48n];
const compactEvery = 10_000;
const catchUpEntries = 5_000;

export interface ClusterOptions {
  /** Entries to commit. */
  readonly entries: number;
  /** Proposals a round. */
  readonly batch: number;
  /** Bytes of a proposal. */
  readonly size: number;
}

/** Bytes in blocks, as a server that reads from sockets has them: many small typed arrays would cost more than Raft. */
class Arena {
  block = new Uint8Array(1 << 20);
  end = 0;

  /** Reserves `size` bytes at the end of the block, and returns where they begin. */
  reserve(size: number): number {
    if (this.end + size > this.block.length) {
      this.block = new Uint8Array(Math.max(size, this.block.length));
      this.end = 0;
    }
    this.end += size;
    return this.end - size;
  }
}

interface Frame {
  readonly block: Uint8Array;
  readonly start: number;
  readonly end: number;
}

class Member {
  readonly id: NodeId;
  readonly node: RawNode;
  readonly storage = new MemoryStorage();
  readonly #arena = new Arena();
  inbox: Frame[] = [];
  applied = 0;
  #compacted = 0;

  constructor(id: NodeId) {
    this.id = id;
    const confState = { voters: ids, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    this.storage.applySnapshot({ data: undefined, metadata: { confState, index: 1, term: 1 } });
    let seed = Number(id & 0xffffn);
    this.node = new RawNode({
      id,
      electionTick: 10,
      heartbeatTick: 1,
      storage: this.storage,
      random: (bound) => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return seed % bound;
      },
      maxSizePerMessage: 1 << 20,
      maxInflightMessages: 512,
      checkQuorum: true,
      preVote: true,
    });
  }

  work(members: readonly Member[]): boolean {
    let worked = false;
    const inbox = this.inbox;
    this.inbox = [];
    for (const { block, start, end } of inbox) {
      worked = true;
      const refusal = this.node.step(messageFromWire(decodeMessage(block, start, end)));
      if (refusal !== undefined) throw new Error(refusal.message);
    }
    while (this.node.hasReady()) {
      worked = true;
      const ready = this.node.ready();
      if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
      this.storage.append(ready.entries);
      for (const message of ready.messages) {
        const start = this.#arena.reserve(sizeMessage(message));
        const { block } = this.#arena;
        const end = encodeMessage(message, block, start);
        for (const member of members) if (member.id === message.to) member.inbox.push({ block, start, end });
      }
      for (const entry of ready.committedEntries) this.applied = entry.index;
      this.node.advance();
    }
    if (this.applied - this.#compacted > compactEvery + catchUpEntries) {
      this.#compacted = this.applied - catchUpEntries;
      this.storage.compact(this.#compacted);
    }
    return worked;
  }
}

/**
 * Commits and applies the entries everywhere; returns the seconds it took. `now` is a monotonic clock in milliseconds.
 */
export function runCluster({ entries, batch, size }: ClusterOptions, now: () => number): number {
  const members = ids.map((id) => new Member(id));
  const settle = () => {
    for (let worked = true; worked; ) {
      worked = false;
      for (const member of members) worked = member.work(members) || worked;
    }
  };
  const [leader] = members;
  if (leader === undefined) throw new Error("no members");
  leader.node.campaign();
  settle();
  if (leader.node.basicStatus().softState.raftState !== RaftState.leader) throw new Error("no leader");
  const proposals = new Arena();
  const first = leader.applied;
  const start = now();
  for (let proposed = 0; proposed < entries; ) {
    for (let i = 0; i < batch && proposed < entries; i++, proposed++) {
      const at = proposals.reserve(size);
      const refusal = leader.node.propose(proposals.block.subarray(at, at + size));
      if (refusal !== undefined) throw new Error(refusal.message);
    }
    settle();
  }
  const seconds = (now() - start) / 1000;
  for (const member of members) {
    if (member.applied !== first + entries) throw new Error(`member applied ${member.applied} of ${first + entries}`);
  }
  return seconds;
}
