/**
 * Three nodes in memory: the schedule that bench/raft.ts runs, and tests/interop/go/raftbench does likewise. In a round the
 * leader takes `batch` proposals, each by its own call; then the nodes, in turn, handle what they have ready, and get
 * what was sent to them, until nothing is left to do. Every message is encoded and decoded.
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

class Member {
  readonly id: NodeId;
  readonly node: RawNode;
  readonly storage = new MemoryStorage();
  readonly inbox: Uint8Array[] = [];
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
    for (const bytes of this.inbox.splice(0)) {
      worked = true;
      const refusal = this.node.step(messageFromWire(decodeMessage(bytes)));
      if (refusal !== undefined) throw new Error(refusal.message);
    }
    while (this.node.hasReady()) {
      worked = true;
      const ready = this.node.ready();
      if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
      this.storage.append(ready.entries);
      for (const message of ready.messages) {
        const bytes = new Uint8Array(sizeMessage(message));
        encodeMessage(message, bytes, 0);
        for (const member of members) if (member.id === message.to) member.inbox.push(bytes);
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

/** Commits and applies the entries everywhere; returns the seconds it took. `now` is a monotonic clock in milliseconds. */
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
  const first = leader.applied;
  const start = now();
  for (let proposed = 0; proposed < entries; ) {
    for (let i = 0; i < batch && proposed < entries; i++, proposed++) {
      const refusal = leader.node.propose(new Uint8Array(size));
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
