/**
 * Watches the members themselves, after each of their loop turns:
 *
 * - election safety: a term has one leader;
 * - log matching: the entry of an index and term is the same on every member that has it;
 * - state machine safety and leader completeness: the committed entry of an index is the same on every member, for
 * ever;
 * - a member cuts off entries only where they conflict with others;
 * - an entry is committed only once a quorum of voters has it on disk;
 * - a leader commits up to an entry of its own term only (§5.4.2 of the Raft paper);
 * - what a member had on disk it still has after it was restarted: entries, term and vote;
 * - at each applied index the store's revision is the model's.
 *
 * What is committed for the first time is handed on, in order: it is what all else is judged by.
 */

import type { ConfState, Entry, HardState } from "@etcd-ts/raft";
import { EntryType, noLimit } from "@etcd-ts/raft";
import type { Node, Running } from "./cluster.js";

export interface RaftAuditorPorts {
  committed(entry: Entry): void;
  revisionAt(index: number): number | undefined;
  violation(reason: string): void;
}

interface Seen {
  readonly running: Running;
  readonly memberId: bigint;
  /** Index up to which the committed entries were compared. */
  committed: number;
  applied: number;
  revision: number;
  /** What the database held at the start: up to here, entries are not applied again. */
  readonly durableIndex: number;
  isLeader: boolean;
  /** Raft's commit index at the end of a turn in which it led; 0 while it does not. */
  ledCommit: number;
  /** Terms of its log, by index. */
  readonly terms: Map<number, number>;
  last: number;
}

export class RaftAuditor {
  readonly #ports: RaftAuditorPorts;
  /** Position = index. */
  readonly #committed: (Entry | undefined)[] = [undefined];
  /** Entries by index and term, of those not yet committed. */
  readonly #made = new Map<string, Entry>();
  readonly #leaders = new Map<number, string>();
  readonly #seen = new Map<Node, Seen>();

  readonly #founders: number;

  /** `founders`: members the cluster begins with; their entries are committed by agreement on the configuration. */
  constructor(founders: number, ports: RaftAuditorPorts) {
    this.#founders = founders;
    this.#ports = ports;
  }

  get commitIndex(): number {
    return this.#committed.length - 1;
  }

  turned(node: Node, running: Running): void {
    const { member, log } = running;
    if (member === undefined || log === undefined) return;
    let seen = this.#seen.get(node);
    if (seen?.running !== running) {
      if (seen !== undefined) this.#restarted(node, seen, running);
      const durableIndex = member.backend.durableIndex;
      seen = {
        running,
        memberId: member.memberId,
        committed: log.firstIndex() - 1,
        applied: 0,
        revision: 0,
        durableIndex,
        isLeader: false,
        ledCommit: 0,
        terms: new Map(),
        last: 0,
      };
      this.#seen.set(node, seen);
    }
    if (member.isLeader !== seen.isLeader) {
      seen.isLeader = member.isLeader;
      if (seen.isLeader) this.#elected(node, member.raftStatus().hardState.term);
    }
    const { committedIndex, appliedIndex } = member;
    if (committedIndex > seen.committed || seen.isLeader !== seen.ledCommit > 0)
      this.#observeLeader(node, seen, member);
    if (committedIndex > seen.committed) this.#observeCommit(node, seen, committedIndex);
    this.#observeTail(node, seen);
    this.#observeEnd(node, seen);
    const revision = member.mvcc.currentRevision();
    if (appliedIndex !== seen.applied || revision !== seen.revision) {
      seen.applied = appliedIndex;
      seen.revision = revision;
      const expected = this.#ports.revisionAt(appliedIndex);
      if (appliedIndex >= seen.durableIndex && expected !== undefined && revision !== expected) {
        this.#fail(`${node.name} has revision ${revision} at applied index ${appliedIndex} instead of ${expected}`);
      }
    }
  }

  #fail(reason: string): void {
    this.#ports.violation(reason);
  }

  #elected(node: Node, term: number): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== node.name) this.#fail(`${other} and ${node.name} both lead term ${term}`);
    this.#leaders.set(term, node.name);
  }

  /** What counting acknowledgements may commit; followers commit what they are told. */
  #observeLeader(node: Node, seen: Seen, member: NonNullable<Running["member"]>): void {
    if (!seen.isLeader) {
      seen.ledCommit = 0;
      return;
    }
    const { commit, term } = member.raftStatus().hardState;
    const before = seen.ledCommit;
    seen.ledCommit = commit;
    if (before === 0 || commit === before) return;
    const committed = seen.running.log?.term(commit);
    if (typeof committed !== "number" || committed === term) return;
    this.#fail(`${node.name} leads term ${term} and commits up to ${commit} of term ${committed}`);
  }

  #observeCommit(node: Node, seen: Seen, to: number): void {
    const { log } = seen.running;
    const entries = log?.entries(Math.max(seen.committed + 1, log.firstIndex()), to + 1, noLimit);
    seen.committed = to;
    if (entries === undefined || typeof entries === "string") return;
    for (const entry of entries) {
      const known = this.#committed[entry.index];
      if (known !== undefined) {
        if (!isSame(known, entry))
          this.#fail(`${node.name} commits another entry at ${text(entry)} than ${text(known)}`);
        continue;
      }
      if (entry.index !== this.#committed.length) return this.#fail(`${node.name} skips to ${text(entry)}`);
      this.#checkQuorum(node, seen, entry);
      this.#committed.push(entry);
      this.#made.delete(`${entry.index}.${entry.term}`);
      this.#ports.committed(entry);
    }
  }

  /** What is on disk behind the committed entries. */
  #observeTail(node: Node, seen: Seen): void {
    const { log } = seen.running;
    if (log === undefined) return;
    const last = log.lastIndex();
    if (last <= this.commitIndex) return;
    const entries = log.entries(Math.max(this.commitIndex + 1, log.firstIndex()), last + 1, noLimit);
    if (typeof entries === "string") return;
    for (const entry of entries) {
      const key = `${entry.index}.${entry.term}`;
      const known = this.#made.get(key);
      if (known === undefined) this.#made.set(key, entry);
      else if (!isSame(known, entry)) this.#fail(`${node.name} has another entry ${text(entry)} than other members`);
    }
  }

  /**
   * A log becomes shorter only by a conflict, and then its new last entry is another than was at that index. One that
   * is the same shows that entries were cut off which may have been acknowledged.
   */
  #observeEnd(node: Node, seen: Seen): void {
    const { log } = seen.running;
    if (log === undefined) return;
    const last = log.lastIndex();
    const term = log.term(last);
    if (typeof term !== "number") return;
    if (last === seen.last && seen.terms.get(last) === term) return;
    if (last < seen.last && seen.terms.get(last) === term) {
      this.#fail(`${node.name} cut off entries ${last + 1} to ${seen.last} behind ${last} of term ${term}`);
    }
    for (let index = last; index >= log.firstIndex(); index--) {
      const known = log.term(index);
      if (typeof known !== "number" || seen.terms.get(index) === known) break;
      seen.terms.set(index, known);
    }
    seen.last = last;
  }

  #checkQuorum(node: Node, seen: Seen, entry: Entry): void {
    if (entry.index <= this.#founders) return;
    // One that has just joined still goes through the configurations of the past.
    let latest = seen;
    for (const other of this.#seen.values()) if (other.applied > latest.applied) latest = other;
    const voters = latest.running.member?.raftStatus().confState.voters ?? [];
    let holders = 0;
    for (const other of this.#seen.values()) {
      if (!voters.includes(other.memberId)) continue;
      const term = other.running.log?.term(entry.index);
      if (term === entry.term || term === "compacted") holders++;
    }
    // The configuration may have changed since the entry was committed, by one voter at a time.
    if (holders * 2 + 1 > voters.length) return;
    this.#fail(`${node.name} commits ${text(entry)} that ${holders} of ${voters.length} voters have on disk`);
  }

  #restarted(node: Node, before: Seen, running: Running): void {
    const oldLog = before.running.log;
    const { log, member } = running;
    if (oldLog === undefined || log === undefined || member === undefined) return;
    // From the entry before the first one, whose state was received or kept in the database.
    const from = Math.max(oldLog.firstIndex(), log.firstIndex()) - 1;
    for (let index = from; index <= oldLog.lastIndex(); index++) {
      const [oldTerm, term] = [oldLog.term(index), log.term(index)];
      if (oldTerm === term) continue;
      // A write that was under way, and perhaps failed, may have reached the disk: it replaced what nobody relies on.
      const isReplaced = typeof term === "number" && typeof oldTerm === "number" && term > oldTerm;
      if (isReplaced && index > before.committed) break;
      return this.#fail(`${node.name} lost entry ${index} of term ${oldTerm}: it has term ${term}`);
    }
    const old = hardStateOf(oldLog);
    const now = member.raftStatus().hardState;
    if (now.term < old.term) this.#fail(`${node.name} went back from term ${old.term} to ${now.term}`);
    if (now.term === old.term && old.vote !== 0n && now.vote !== old.vote) {
      this.#fail(`${node.name} forgot its vote of term ${now.term}`);
    }
  }
}

function hardStateOf(log: NonNullable<Running["log"]>): HardState {
  return (log as unknown as { initialState(): { hardState: HardState; confState: ConfState } }).initialState()
    .hardState;
}

function isSame(a: Entry, b: Entry): boolean {
  if (a === b) return true;
  if (a.term !== b.term || a.type !== b.type) return false;
  return Buffer.compare(a.data ?? noBytes, b.data ?? noBytes) === 0;
}

const noBytes = new Uint8Array(0);

function text(entry: Entry): string {
  const kind = entry.type === EntryType.normal ? "" : " (configuration)";
  return `${entry.index} of term ${entry.term}${kind}`;
}
