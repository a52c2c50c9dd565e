/**
 * Compares this member's data with the other members': once before it serves anybody, and, while it leads, the hashes
 * that compactions leave behind, and all data if asked to. Members whose data differ are put under the CORRUPT alarm:
 * the cluster takes no more writes until an operator has seen to it.
 *
 * Hashes are compared only where both sides hashed the same range of revisions.
 *
 * Source: etcd server/etcdserver/corrupt.go.
 */

import type { KeyValueHash, Mvcc, SlicedRead } from "@etcd-ts/store";
import type { Clock, Logger, Timer } from "../env.js";
import type { ProposalDone } from "./proposals.js";
import type { ReadDone } from "./read-index.js";

/** What another member says of its data. */
export interface PeerHash {
  readonly id: bigint;
  /** The newest revision it has. */
  readonly revision: number;
  readonly hash: number;
  readonly compactRevision: number;
}

/** What of a member is needed. */
export interface CheckedMember {
  readonly memberId: bigint;
  readonly isLeader: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly mvcc: Pick<Mvcc, "startHash" | "currentRevision" | "compactionHashes">;
  readonly membership: { members(): readonly { readonly id: bigint }[] };
  runSliced<Result>(read: SlicedRead<Result>, done: (result: Result) => void): unknown;
  linearizableRead(done: ReadDone): void;
  raiseCorrupt(memberId: bigint, done: ProposalDone): void;
}

export interface CorruptionMonitorOptions {
  readonly member: CheckedMember;
  /** The hashes at a revision of the other members that can be asked. */
  readonly peerHashes: (revision: number) => Promise<readonly PeerHash[]>;
  /** Milliseconds between two comparisons of all data; 0 = never. */
  readonly allEveryMs: number;
  /** Milliseconds between two comparisons of the hashes of compactions; 0 = never. */
  readonly compactionsEveryMs: number;
}

/** An alarm's member when nobody can tell who is wrong. */
const unknownMember = 0n;

export class CorruptionMonitor {
  readonly #options: CorruptionMonitorOptions;
  readonly #member: CheckedMember;
  readonly #timers = new Set<Timer>();
  /** All members' hashes agreed up to here. */
  #checkedRevision = 0;
  #stopped = false;

  constructor(options: CorruptionMonitorOptions) {
    this.#options = options;
    this.#member = options.member;
  }

  /** Begins the regular checks. */
  start(): void {
    const { allEveryMs, compactionsEveryMs } = this.#options;
    if (allEveryMs > 0) this.#every(allEveryMs, () => this.checkAll());
    if (compactionsEveryMs > 0) this.#every(compactionsEveryMs, () => this.checkCompactions());
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
  }

  /**
   * To be called before the member serves anybody and applies entries: why it must not start, or undefined. A member
   * that cannot be asked, or has compacted elsewhere, says nothing.
   */
  async checkInitially(): Promise<string | undefined> {
    const { logger, memberId } = this.#member;
    const id = memberId.toString(16);
    // Nothing was ever stored, or nobody is there to compare with.
    if (this.#member.mvcc.currentRevision() <= 1 || this.#peerCount === 0) return undefined;
    logger.log("info", "starting initial corruption check", { "local-member-id": id });
    const own = await this.#hash();
    if (own === undefined) return `${id} failed to fetch hash`;
    for (const peer of await this.#options.peerHashes(own.hashRevision)) {
      if (!differs(own, peer)) continue;
      logger.log("warn", "found different hash values from remote peer", describe(id, own, peer));
      return `${id} found data inconsistency with peers`;
    }
    logger.log("info", "initial corruption checking passed; no corruption", { "local-member-id": id });
    return undefined;
  }

  /** Compares all data; raises at most one alarm. */
  async checkAll(): Promise<void> {
    const { memberId } = this.#member;
    const first = await this.#hash();
    if (first === undefined) return;
    const peers = await this.#options.peerHashes(first.hashRevision);
    if ((await this.#caughtUp()) === false) return;
    const second = await this.#hash();
    if (second === undefined) return;
    const isSameRange = first.hashRevision === second.hashRevision && first.compactRevision === second.compactRevision;
    if (isSameRange && first.hash !== second.hash) return this.#raise(memberId);
    const wrong = peers.find(
      (peer) =>
        peer.revision > second.hashRevision || peer.compactRevision > second.compactRevision || differs(first, peer),
    );
    if (wrong === undefined) return;
    this.#member.logger.log("warn", "found corruption", describe(memberId.toString(16), first, wrong));
    this.#raise(wrong.id);
  }

  /** Compares the hashes that compactions left behind, newest first, down to what was compared before. */
  async checkCompactions(): Promise<void> {
    const hashes = this.#member.mvcc
      .compactionHashes()
      .filter(({ hashRevision }) => hashRevision > this.#checkedRevision);
    for (const own of hashes) {
      const peers = await this.#options.peerHashes(own.hashRevision);
      if (this.#stopped || !this.#member.isLeader) return;
      const comparable = peers.filter(({ compactRevision }) => compactRevision === own.compactRevision);
      if (comparable.length === 0) continue;
      const groups = new Map<number, bigint[]>([[own.hash, [this.#member.memberId]]]);
      for (const { hash, id } of comparable) groups.set(hash, [...(groups.get(hash) ?? []), id]);
      if (groups.size > 1) return this.#raiseMinorities(own, groups);
      if (comparable.length === this.#peerCount) {
        this.#checkedRevision = own.hashRevision;
        return;
      }
    }
  }

  #raiseMinorities(own: KeyValueHash, groups: ReadonlyMap<number, readonly bigint[]>): void {
    const quorum = Math.floor((this.#peerCount + 1) / 2) + 1;
    const right = [...groups.values()].find((ids) => ids.length >= quorum);
    const wrong = right === undefined ? [unknownMember] : [...groups.values()].filter((ids) => ids !== right).flat();
    this.#member.logger.log("error", "Detected compaction hash mismatch", {
      "corrupted-members": wrong.map((id) => id.toString(16)),
      "compact-revision": own.compactRevision,
      revision: own.hashRevision,
    });
    for (const id of wrong) this.#raise(id);
  }

  #raise(memberId: bigint): void {
    this.#member.raiseCorrupt(memberId, (outcome) => {
      if (outcome.kind !== "failed") return;
      this.#member.logger.log("warn", "failed to raise alarm CORRUPT", { "member-id": memberId.toString(16) });
    });
  }

  get #peerCount(): number {
    return this.#member.membership.members().length - 1;
  }

  /** Undefined when the store cannot be hashed now. */
  #hash(): Promise<KeyValueHash | undefined> {
    return new Promise((resolve) => {
      this.#member.runSliced(this.#member.mvcc.startHash(0), (result) => {
        resolve(typeof result === "string" ? undefined : result);
      });
    });
  }

  #caughtUp(): Promise<boolean> {
    return new Promise((resolve) => this.#member.linearizableRead((refusal) => resolve(refusal === undefined)));
  }

  /** Checks are the leader's task, one at a time. */
  #every(intervalMs: number, check: () => Promise<void>): void {
    const timer = this.#member.clock.setTimer(intervalMs, () => {
      this.#timers.delete(timer);
      const again = (): void => {
        if (!this.#stopped) this.#every(intervalMs, check);
      };
      if (!this.#member.isLeader) return again();
      check()
        .catch((error: unknown) => {
          this.#member.logger.log("warn", "failed to check the members' hashes", { error: String(error) });
        })
        .finally(again);
    });
    this.#timers.add(timer);
  }
}

function differs(own: KeyValueHash, peer: PeerHash): boolean {
  return peer.compactRevision === own.compactRevision && peer.hash !== own.hash;
}

function describe(id: string, own: KeyValueHash, peer: PeerHash): Record<string, unknown> {
  return {
    "local-member-id": id,
    "local-member-revision": own.hashRevision,
    "local-member-compact-revision": own.compactRevision,
    "local-member-hash": own.hash,
    "remote-peer-id": peer.id.toString(16),
    "remote-peer-revision": peer.revision,
    "remote-peer-compact-revision": peer.compactRevision,
    "remote-peer-hash": peer.hash,
  };
}
