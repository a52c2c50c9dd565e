/**
 * The safety properties of Raft, checked on a whole group after every step. They are the invariants of the TLA+
 * specification of etcd-io/raft (tla/etcdraft.tla), whose names they bear, and three that follow for users: a vote is
 * given once, state machines apply the same entries, and reads are linearizable.
 *
 * Checking all of them from scratch would cost more than the group's own work. So what has happened is kept: the log of
 * every node as a list of entries (entries are shared objects: the same object is the same entry), every entry ever
 * made, and the committed log. Only what a step has changed is then compared; the rest follows by induction.
 */

import type { Raft } from "../raft.js";
import { type ConfState, type Entry, emptyConfState, type NodeId, none, RaftState } from "../types.js";

/** The code under test broke a safety property. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/** What the checker knows of one node. The node itself need not be running. */
export class NodeRecord {
  readonly id: NodeId;
  /** The whole log, position = index, as if nothing had ever been compacted; position 0 is unused. */
  log: Entry[];
  /** What of it would survive a crash. */
  durable: Entry[];
  committed = 0;
  term = 0;
  leaderOf = 0;
  snapshot: unknown = undefined;
  /** The configuration by which it would hold an election now, and how far it has applied. */
  config: ConfState = emptyConfState;
  applied = 0;

  constructor(id: NodeId, log: readonly Entry[]) {
    this.id = id;
    this.log = [...log];
    this.durable = [...log];
  }
}

const dummy: Entry = { type: 0, term: 0, index: 0, data: undefined };
const maxTerm = 2 ** 22;

/** Watches one group. */
export class InvariantChecker {
  readonly #records = new Map<NodeId, NodeRecord>();
  /** Every entry ever appended by (index, term), and the term before it. */
  readonly #made = new Map<number, { readonly entry: Entry; readonly previousTerm: number }>();
  /** What any node has known to be committed; position = index. */
  readonly committed: Entry[] = [dummy];
  /** The term of the leader that committed each of them. */
  readonly #commitTerms: number[] = [0];
  readonly #leaders = new Map<number, NodeId>();
  readonly #votes = new Map<string, NodeId>();
  /** The configuration at the highest index that any node has applied. */
  #config: ConfState;
  #configIndex = 0;
  elections = 0;

  constructor(config: ConfState) {
    this.#config = config;
  }

  /** Adds a node, whose log is what is committed so far if it `isFounder` and empty otherwise. */
  addNode(id: NodeId, { isFounder }: { readonly isFounder: boolean }): NodeRecord {
    const record = new NodeRecord(id, isFounder ? this.committed : [dummy]);
    if (isFounder) record.committed = this.committed.length - 1;
    this.#records.set(id, record);
    return record;
  }

  get config(): ConfState {
    return this.#config;
  }

  record(id: NodeId): NodeRecord {
    const record = this.#records.get(id);
    if (record === undefined) throw new Error(`no node ${id}`);
    return record;
  }

  /** Checks everything that a step of `raft` may have changed. */
  observe(raft: Raft): void {
    const record = this.record(raft.id);
    if (raft.term < record.term) fail(`node ${raft.id} went back from term ${record.term} to ${raft.term}`);
    record.term = raft.term;
    // First, so that the entry with which a leader begins its term is met with the leader known.
    if (raft.state === RaftState.leader) this.#observeLeader(record);
    else record.leaderOf = 0;
    record.config = raft.tracker.config;
    record.applied = raft.log.applied;
    const changed = this.#observeLog(record, raft);
    checkStable(record, raft);
    const { committed } = raft.log;
    if (committed < record.committed) {
      fail(`node ${raft.id} went back from commit ${record.committed} to ${committed}`);
    }
    const advanced = committed > record.committed;
    if (advanced) this.#observeCommit(record, raft);
    if (changed || advanced) this.#checkUpToDate(record);
    if (advanced) {
      this.#checkLeaderCompleteness();
      this.#checkElectable();
    }
    if (changed) this.#checkQuorum("QuorumLogInv", (one) => one.log);
  }

  /** Notes the part of the log that changed; returns whether there was one. */
  #observeLog(record: NodeRecord, { log: { unstable } }: Raft): boolean {
    const { log } = record;
    if (unstable.snapshot !== undefined && unstable.snapshot !== record.snapshot) {
      const { index, term } = unstable.snapshot.metadata;
      if (this.committed[index]?.term !== term) fail(`LogInv: snapshot ${index} of term ${term} was never committed`);
      record.log = this.committed.slice(0, index + 1);
      record.log.push(...unstable.entries);
      for (const entry of unstable.entries) this.#observeEntry(record, entry);
      record.snapshot = unstable.snapshot;
      return true;
    }
    const { entries, offset } = unstable;
    if (entries.length === 0) return false;
    const end = offset + entries.length;
    let same = end;
    // A log changes by replacing its end, so that below a common entry all is common.
    while (same > offset && log[same - 1] !== entries[same - 1 - offset]) same--;
    if (same === end && log.length === end) return false;
    log.length = same;
    for (let index = same; index < end; index++) {
      const entry = entries[index - offset] as Entry;
      log.push(entry);
      this.#observeEntry(record, entry);
    }
    return true;
  }

  /** LogMatchingInv: entries of the same index and term are the same, and so are those before them. */
  #observeEntry(record: NodeRecord, entry: Entry): void {
    const { index, term } = entry;
    const previousTerm = record.log[index - 1]?.term ?? -1;
    if (term >= maxTerm) fail("terms above what the checker can key");
    const key = index * maxTerm + term;
    const known = this.#made.get(key);
    if (known === undefined) {
      this.#made.set(key, { entry, previousTerm });
    } else if (known.entry !== entry || known.previousTerm !== previousTerm) {
      fail(`LogMatchingInv: node ${record.id} has another entry ${index} of term ${term}`);
    }
    // ElectionSafetyInv: none has more entries of a term than its leader.
    const leader = this.#leaders.get(term);
    if (leader === undefined) {
      fail(`ElectionSafetyInv: an entry of term ${term}, which has no leader`);
    }
    const leading = this.record(leader);
    if (leading.leaderOf === term && leading !== record && leading.log.length <= index) {
      fail(`ElectionSafetyInv: node ${record.id} has entry ${index} of term ${term}, whose leader ${leader} has not`);
    }
  }

  /** LogInv: of any two committed logs one is a prefix of the other. */
  #observeCommit(record: NodeRecord, raft: Raft): void {
    const { log } = record;
    const { committed } = raft.log;
    const first = record.committed + 1;
    record.committed = committed;
    for (let index = first; index <= committed; index++) {
      const entry = log[index];
      if (entry === undefined) fail(`LogInv: node ${record.id} committed ${index}, which it does not have`);
      const known = this.committed[index];
      if (known === undefined) {
        this.committed.push(entry);
        this.#commitTerms[index] = raft.term;
      } else if (known !== entry) {
        fail(`LogInv: node ${record.id} committed ${index} of term ${entry.term}, others of term ${known.term}`);
      }
    }
    this.#checkQuorum("CommittedIsDurableInv", (one) => one.durable);
    this.#checkQuorum("QuorumLogInv", (one) => one.log);
  }

  #observeLeader(record: NodeRecord): void {
    const { id, term } = record;
    if (record.leaderOf === term) return;
    record.leaderOf = term;
    const other = this.#leaders.get(term);
    if (other !== undefined) fail(`MoreThanOneLeaderInv: ${other} and ${id} were leaders of term ${term}`);
    this.#leaders.set(term, id);
    this.elections++;
    this.#checkLeaderCompleteness();
  }

  /** LeaderCompletenessInv: a leader has all that was committed up to its term, whatever the entries' own terms. */
  #checkLeaderCompleteness(): void {
    for (const record of this.#records.values()) {
      if (record.leaderOf === 0) continue;
      let last = this.committed.length - 1;
      while ((this.#commitTerms[last] ?? 0) > record.leaderOf) last--;
      if (record.log[last] !== this.committed[last]) {
        fail(`LeaderCompletenessInv: leader ${record.id} of term ${record.leaderOf} lacks committed entry ${last}`);
      }
    }
  }

  /**
   * LeaderCompletenessInv before it is too late: nobody who lacks a committed entry could win an election, going by the
   * logs alone.
   */
  #checkElectable(): void {
    const last = this.committed.length - 1;
    for (const candidate of this.#records.values()) {
      const { id, config, log } = candidate;
      if (log[last] === this.committed[last] || !config.voters.concat(config.votersOutgoing).includes(id)) continue;
      // Who knows of a committed change that it has not applied does not campaign.
      if (log.slice(candidate.applied + 1, candidate.committed + 1).some(({ type }) => type !== 0)) continue;
      const wins = (half: readonly NodeId[]) =>
        half.filter((voter) => isUpToDate(candidate, this.record(voter))).length > half.length / 2;
      if (wins(config.voters) && (config.votersOutgoing.length === 0 || wins(config.votersOutgoing))) {
        fail(`LeaderCompletenessInv: node ${id} could be elected and lacks committed entry ${last}`);
      }
    }
  }

  /**
   * MoreUpToDateCorrectInv: who has the more up-to-date log has all that the other knows to be committed. Taken
   * literally this is false: a follower that is catching up may know that an entry of an old term is committed, and
   * have nothing yet of the term in which that happened; a deposed leader's leftovers are then ahead of it. Such a
   * follower is left out.
   */
  #checkUpToDate(changed: NodeRecord): void {
    for (const other of this.#records.values()) {
      if (other === changed) continue;
      this.#checkPair(changed, other);
      this.#checkPair(other, changed);
    }
  }

  #checkPair(ahead: NodeRecord, behind: NodeRecord): void {
    const other = behind.log.at(-1) as Entry;
    const last = behind.committed;
    if (
      !isUpToDate(ahead, behind) ||
      other.term < (this.#commitTerms[last] ?? 0) ||
      ahead.log[last] === behind.log[last]
    )
      return;
    fail(`MoreUpToDateCorrectInv: node ${ahead.id} is ahead of ${behind.id} and lacks its committed entry ${last}`);
  }

  /**
   * All that is committed is in the logs of so many nodes that every quorum includes one of them. A quorum of a joint
   * configuration has a majority of both halves, so that the nodes lacking it must be a minority of one half.
   */
  #checkQuorum(name: string, logOf: (record: NodeRecord) => readonly Entry[]): void {
    const last = this.committed.length - 1;
    const entry = this.committed[last];
    const isMinority = (half: readonly NodeId[]) => {
      let lacking = 0;
      for (const id of half) if (logOf(this.record(id))[last] !== entry) lacking++;
      return lacking <= half.length / 2;
    };
    const { voters, votersOutgoing } = this.#config;
    if (isMinority(voters) || (votersOutgoing.length > 0 && isMinority(votersOutgoing))) return;
    fail(`${name}: a quorum lacks committed entry ${last}`);
  }

  /** Notes that everything the node's log holds up to the last of `entries` is durable, and nothing behind it. */
  persisted(id: NodeId, entries: readonly Entry[]): void {
    const { durable } = this.record(id);
    const [first] = entries;
    if (first === undefined) return;
    if (first.index > durable.length) fail(`node ${id} persisted ${first.index} after ${durable.length - 1}`);
    durable.length = first.index;
    durable.push(...entries);
    this.#checkQuorum("CommittedIsDurableInv", (one) => one.durable);
  }

  /** Notes that a snapshot has replaced the node's durable log. */
  persistedSnapshot(id: NodeId, index: number): void {
    this.record(id).durable = this.committed.slice(0, index + 1);
  }

  /** Notes that the node was lost with all that was not durable, and is back as `raft`. */
  restarted(raft: Raft): void {
    const record = this.record(raft.id);
    record.log = [...record.durable];
    record.committed = raft.log.committed;
    record.leaderOf = 0;
    record.snapshot = undefined;
    record.term = raft.term;
  }

  /** A vote of `id` in `term` has left the node. */
  voted(id: NodeId, term: number, candidate: NodeId): void {
    const key = `${id}/${term}`;
    const earlier = this.#votes.get(key) ?? none;
    if (earlier !== none && earlier !== candidate) fail(`node ${id} voted twice in term ${term}`);
    this.#votes.set(key, candidate);
  }

  /** Notes the configuration after a node has applied `index`. */
  applied(id: NodeId, entry: Entry, previous: number, config: ConfState): void {
    if (entry.index !== previous + 1) fail(`node ${id} applied ${entry.index} after ${previous}`);
    if (this.committed[entry.index] !== entry) fail(`node ${id} applied entry ${entry.index}, which was not committed`);
    if (entry.index <= this.#configIndex) return;
    this.#configIndex = entry.index;
    if (this.#config === config) return;
    this.#config = config;
    this.#checkQuorum("QuorumLogInv", (one) => one.log);
  }

  /** A read asked for when `known` entries were committed was answered with `index`. */
  read(known: number, index: number): void {
    if (index < known) fail(`a read was answered with ${index} when ${known} had been committed`);
  }
}

/** Whether `one` has a log as up-to-date as that of `other`, so that `other` may vote for it. */
function isUpToDate(one: NodeRecord, other: NodeRecord): boolean {
  const own = one.log.at(-1) as Entry;
  const theirs = other.log.at(-1) as Entry;
  return own.term > theirs.term || (own.term === theirs.term && own.index >= theirs.index);
}

/** What the node takes for durable is what it was given. */
function checkStable({ id, log }: NodeRecord, raft: Raft): void {
  const index = raft.log.unstable.offset - 1;
  const term = raft.log.term(index);
  // The storage may have forgotten it already.
  if (term === "compacted" || term === log[index]?.term) return;
  fail(`node ${id} has entry ${index} of term ${term}, not ${log[index]?.term}, on disk`);
}

function fail(what: string): never {
  throw new InvariantViolation(what);
}
