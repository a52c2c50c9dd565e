/**
 * Who leads, as this member knows it: telling others of changes, handing leadership over, proving that it is still
 * held, and what a change does to those who waited meanwhile.
 *
 * Source: etcd server/etcdserver/server.go MoveLeader, TransferLeadership; v3_server.go.
 */

import type { SoftState } from "@etcd-ts/raft";
import type { Lessor, Membership } from "@etcd-ts/store";
import type { Clock, Logger } from "../env.js";
import type { RaftLoop } from "./raft-loop.js";
import type { ReadDone } from "./read-index.js";
import type { Refusal } from "./refusal.js";

export interface LeadershipPorts {
  readonly memberId: bigint;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly loop: RaftLoop;
  readonly membership: Membership;
  readonly lessor: Lessor;
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Monotonic milliseconds since when another member is reachable; undefined while it is not. */
  activeSince(id: bigint): number | undefined;
  /** Milliseconds since this member's last tick. */
  tickIdleMs(): number;
  linearizableRead(done: ReadDone): void;
  /** This member leads others and sent them no heartbeat for twice the time between two. */
  heartbeatsLate(): void;
  /** Before the listeners: this member knows of a leader, another one than before. */
  leaderFound(): void;
}

/** Source: etcd ErrTimeoutLeaderTransfer, which is not mapped. */
const transferTimeout: Refusal = { code: 2, message: "etcdserver: request timed out, leader transfer took too long" };

export class Leadership {
  readonly #ports: LeadershipPorts;
  readonly #leaderListeners = new Set<() => void>();
  readonly #termListeners = new Set<() => void>();
  #softState: SoftState = { lead: 0n, raftState: 0 };
  /** When this member last became leader. */
  #ledSince: number | undefined;
  /**
   * Ticks that came late, and how many of them had come when a quorum was asked that confirmed that this member leads.
   */
  #lateTicks = 0;
  #confirmedLateTicks = 0;

  constructor(ports: LeadershipPorts) {
    this.#ports = ports;
  }

  /** 0n while none is known. */
  get leader(): bigint {
    const { loop } = this.#ports;
    return loop.isSuspended ? 0n : loop.softState.lead;
  }

  get isLeader(): boolean {
    const { loop } = this.#ports;
    return loop.isLeader && !loop.isSuspended;
  }

  /** Called whenever the leader that this member knows changes; returns a function that ends it. */
  onLeaderChange(listener: () => void): () => void {
    this.#leaderListeners.add(listener);
    return () => this.#leaderListeners.delete(listener);
  }

  /** Called when the first entry of a leader's term has been applied; returns a function that ends it. */
  onTermBegan(listener: () => void): () => void {
    this.#termListeners.add(listener);
    return () => this.#termListeners.delete(listener);
  }

  /** Hands leadership to another voter. `done` when it has it, or with the reason why not. */
  moveLeader(to: bigint, done: (refusal: Refusal | undefined) => void): void {
    const { memberId, clock, logger, loop, membership, requestTimeoutMs } = this.#ports;
    if (!this.isLeader) return done("notLeader");
    const target = membership.member(to);
    if (target === undefined || target.isLearner) return done("badLeaderTransferee");
    if (to === memberId) return done(undefined);
    logger.log("info", "leadership transfer starting", {
      "current-leader-member-id": memberId.toString(16),
      "transferee-member-id": to.toString(16),
    });
    const deadline = clock.setTimer(requestTimeoutMs, () => {
      stop();
      done(transferTimeout);
    });
    const stop = this.onLeaderChange(() => {
      if (this.leader !== to) return;
      stop();
      deadline.cancel();
      done(undefined);
    });
    loop.transferLeader(to);
  }

  /**
   * A leader that stops hands over to the voter connected longest, so that the others need not wait for an election.
   */
  async transferBeforeStop(): Promise<void> {
    const { memberId, logger, membership } = this.#ports;
    if (!this.isLeader) return;
    let longest: { readonly id: bigint; readonly since: number } | undefined;
    for (const { id } of membership.voters()) {
      const since = id === memberId ? undefined : this.#ports.activeSince(id);
      if (since !== undefined && (longest === undefined || since < longest.since)) longest = { id, since };
    }
    if (longest === undefined) return;
    const { id } = longest;
    const refusal = await new Promise<Refusal | undefined>((resolve) => this.moveLeader(id, resolve));
    const fields = {
      "transferee-member-id": id.toString(16),
      ...(refusal === undefined ? {} : { error: String(refusal) }),
    };
    logger.log(refusal === undefined ? "info" : "warn", "leadership transfer before stopping", fields);
  }

  /** Raft's role or leader changed. */
  softStateChanged(state: SoftState): void {
    const { clock, logger, lessor } = this.#ports;
    const previous = this.#softState;
    this.#softState = state;
    const isLeader = this.isLeader;
    if (!isLeader) lessor.demote();
    if (state.lead === previous.lead) return;
    if (isLeader) this.#ledSince = clock.now();
    if (state.lead !== 0n) {
      logger.log("info", previous.lead === 0n ? "raft.node elected leader" : "raft.node changed leader", {
        leader: state.lead.toString(16),
      });
      this.#ports.leaderFound();
    } else logger.log("info", "raft.node lost leader", { leader: previous.lead.toString(16) });
    for (const listener of this.#leaderListeners) listener();
  }

  /** The first entry of a leader's term was applied. */
  termBegan(): void {
    for (const listener of this.#termListeners) listener();
  }

  /** At each tick, `idleMs` after the one before. */
  ticked(idleMs: number): void {
    if (this.#isLate(idleMs)) this.#lateTicks++;
    if (idleMs > 2 * this.#ports.heartbeatMs) this.#tellLateHeartbeats(idleMs);
  }

  /** Source: etcd server/etcdserver/raft.go processMessages. */
  #tellLateHeartbeats(idleMs: number): void {
    const { logger, membership, heartbeatMs } = this.#ports;
    if (!this.isLeader || membership.members().length <= 1) return;
    this.#ports.heartbeatsLate();
    logger.log("warn", "leader failed to send out heartbeat on time; took too long, leader is overloaded", {
      "heartbeat-interval": `${heartbeatMs}ms`,
      "exceeded-duration": `${Math.round(idleMs - 2 * heartbeatMs)}ms`,
    });
  }

  /**
   * Tells whether this member still leads: at once when it has ticked in time since a quorum was last needed, else
   * after asking a quorum. That the last tick was in time is not enough, as the first one after a pause may come before
   * whoever asks (etcd issue 15247).
   */
  confirm(done: (leads: boolean) => void): void {
    if (!this.isLeader) return done(false);
    if (this.#lateTicks === this.#confirmedLateTicks && !this.#isLate(this.#ports.tickIdleMs())) return done(true);
    this.confirmByQuorum(done);
  }

  /** However well it ticks. */
  confirmByQuorum(done: (leads: boolean) => void): void {
    if (!this.isLeader) return done(false);
    const lateTicks = this.#lateTicks;
    this.#ports.linearizableRead((refusal) => {
      const leads = refusal === undefined && this.isLeader;
      if (leads) this.#confirmedLateTicks = Math.max(this.#confirmedLateTicks, lateTicks);
      done(leads);
    });
  }

  #isLate(idleMs: number): boolean {
    return idleMs >= 3 * this.#ports.heartbeatMs;
  }

  /**
   * Why a proposal made at `startedAt` has no result yet. Source: etcd server/etcdserver/v3_server.go
   * parseProposeCtxErr.
   */
  timeoutReason(startedAt: number): Refusal {
    const led = this.#ledSince;
    if (led !== undefined && startedAt > led - 2 * this.#ports.electionTimeoutMs && startedAt < led)
      return "timeoutDueToLeaderFail";
    if (this.leader !== 0n && !this.#isConnectedSince(startedAt)) return "timeoutDueToConnectionLost";
    return "timeout";
  }

  /** To a quorum when this member leads, else to the leader. */
  #isConnectedSince(since: number): boolean {
    const isConnected = (id: bigint): boolean => {
      const activeSince = id === this.#ports.memberId ? 0 : this.#ports.activeSince(id);
      return activeSince !== undefined && activeSince < since;
    };
    if (!this.isLeader) return isConnected(this.leader);
    const members = this.#ports.membership.members();
    return members.filter((member) => isConnected(member.id)).length >= Math.floor(members.length / 2) + 1;
  }
}
