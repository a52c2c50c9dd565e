/**
 * Renewal of leases: one stream for all of them, a request for each after a third of its TTL. Source: etcd
 * client/v3/lease.go.
 */

import { EtcdError, errorSpecs, lease } from "@etcd-ts/api";
import type { LeaseKeepAliveResponse } from "@etcd-ts/api/etcdserverpb";
import { AsyncQueue } from "./async-queue.js";
import type { Caller } from "./caller.js";
import { canceledError } from "./errors.js";
import type { CancelSignal, ConnectionCall, Timer } from "./transport.js";

export interface KeepAliveOptions {
  /** Seconds the lease was granted for, when known: an answer that never comes is then noticed in time. */
  readonly ttl?: number | undefined;
  /** Stops the renewal, not the lease. */
  readonly signal?: CancelSignal | undefined;
}

/** Answers that wait for a user who iterates; the oldest are forgotten. Source: LeaseResponseChSize. */
const waitingMax = 16;
/** A look at all leases at least this often while there are any. */
const tickMs = 500;
/** Pause before a broken stream is opened again. */
const reopenMs = 500;
/** Time for the first answer when the TTL is not known, besides that for connecting. */
const firstAnswerMs = 1_000;

/**
 * A lease being renewed. Iterating gives the server's answers; the loop ends when the renewal is stopped and throws
 * when the lease is lost. Nobody has to iterate.
 */
export class KeepAlive implements AsyncIterableIterator<LeaseKeepAliveResponse> {
  readonly leaseId: bigint;
  readonly #lost: AbortController = new AbortController();
  readonly #answers: AsyncQueue<LeaseKeepAliveResponse>;
  readonly #onStop: () => void;
  #stopped = false;

  constructor(leaseId: bigint, onStop: () => void) {
    this.leaseId = leaseId;
    this.#onStop = onStop;
    this.#answers = new AsyncQueue({ onReturn: () => this.stop() });
  }

  /**
   * Aborted when the lease is lost: expired, revoked, or not renewed within its time as measured from the last request
   * that was answered. What the lease protected must not be relied on from then on. Its reason is the error.
   */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Renews no more; the lease runs out by itself. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#answers.end();
    this.#onStop();
  }

  next(): Promise<IteratorResult<LeaseKeepAliveResponse>> {
    return this.#answers.next();
  }

  return(): Promise<IteratorResult<LeaseKeepAliveResponse>> {
    return this.#answers.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Of the stream. */
  answered(answer: LeaseKeepAliveResponse): void {
    if (this.#answers.size >= waitingMax) this.#answers.dropOldest();
    this.#answers.push(answer);
  }

  /** Of the stream. */
  fail(error: EtcdError): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#answers.end(error);
    this.#lost.abort(error);
    this.#onStop();
  }
}

interface Renewal {
  readonly id: bigint;
  readonly users: Set<KeepAlive>;
  /** When the next request is due, and when the lease must be thought lost; in the clock's milliseconds. */
  due: number;
  deadline: number;
  /** When the request was sent that has not been answered. */
  sentAt: number | undefined;
}

export class KeepAliveStream {
  readonly #caller: Caller;
  readonly #dialTimeoutMs: number;
  readonly #renewals: Map<bigint, Renewal> = new Map();
  #call: ConnectionCall | undefined;
  #opening = false;
  #reopenAt = 0;
  #timer: Timer | undefined;

  constructor(caller: Caller, dialTimeoutMs: number) {
    this.#caller = caller;
    this.#dialTimeoutMs = dialTimeoutMs;
  }

  start(id: bigint, { ttl, signal }: KeepAliveOptions): KeepAlive {
    const onAbort = (): void => user.stop();
    const user = new KeepAlive(id, () => {
      signal?.removeEventListener("abort", onAbort);
      this.#remove(id, user);
    });
    if (this.#caller.closing.aborted) {
      user.fail(canceledError(new Error("the client is closed")));
      return user;
    }
    if (signal?.aborted === true) {
      user.stop();
      return user;
    }
    signal?.addEventListener("abort", onAbort);
    const now = this.#caller.clock.now();
    let renewal = this.#renewals.get(id);
    if (renewal === undefined) {
      const firstMs = ttl === undefined ? this.#dialTimeoutMs + firstAnswerMs : ttl * 1000;
      renewal = { id, users: new Set(), due: now, deadline: now + firstMs, sentAt: undefined };
      this.#renewals.set(id, renewal);
    }
    renewal.users.add(user);
    this.#tick();
    return user;
  }

  close(error: EtcdError): void {
    for (const { users } of [...this.#renewals.values()]) for (const user of [...users]) user.fail(error);
  }

  #remove(id: bigint, user: KeepAlive): void {
    const renewal = this.#renewals.get(id);
    if (renewal === undefined || !renewal.users.delete(user) || renewal.users.size > 0) return;
    this.#renewals.delete(id);
    if (this.#renewals.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
  }

  /** Sends what is due, gives up what is lost, and comes back when the next is. */
  #tick(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = this.#caller.clock.now();
    let next = now + tickMs;
    for (const renewal of [...this.#renewals.values()]) {
      if (renewal.deadline <= now) {
        this.#lose(renewal, new EtcdError(errorSpecs.leaseNotFound, new Error("the lease was not renewed in time")));
        continue;
      }
      if (renewal.due <= now && renewal.sentAt === undefined && this.#call !== undefined) this.#renew(renewal, now);
      next = Math.min(next, renewal.deadline, renewal.due > now ? renewal.due : next);
    }
    if (this.#renewals.size === 0) return;
    if (this.#call === undefined && now >= this.#reopenAt) this.#open();
    this.#timer = this.#caller.clock.setTimer(Math.max(1, next - now), () => this.#tick());
  }

  #renew(renewal: Renewal, now: number): void {
    renewal.sentAt = now;
    const codec = lease.leaseKeepAlive.request;
    const request = { id: renewal.id };
    this.#call?.send(codec.size(request), (target, offset) => void codec.encode(request, target, offset));
  }

  #open(): void {
    if (this.#opening) return;
    this.#opening = true;
    let current: ConnectionCall | undefined;
    let over = false;
    const failed = (): void => {
      this.#opening = false;
      this.#reopenAt = this.#caller.clock.now() + reopenMs;
    };
    this.#caller
      .openStream(
        lease.leaseKeepAlive,
        {
          onMessage: (message) => {
            if (current !== undefined && current === this.#call) this.#onMessage(message);
          },
          onEnd: (status) => {
            over = true;
            if (current === undefined) failed();
            else if (current === this.#call) this.#onEnd(new EtcdError(status));
          },
        },
        { requireLeader: true },
      )
      .then((call) => {
        current = call;
        if (over) return;
        this.#opening = false;
        if (this.#renewals.size === 0) return call.cancel();
        this.#call = call;
        // Requests on the stream before got no answer.
        for (const renewal of this.#renewals.values()) {
          if (renewal.sentAt !== undefined) renewal.due = 0;
          renewal.sentAt = undefined;
        }
        this.#tick();
      }, failed);
  }

  #onEnd(error: EtcdError): void {
    this.#call = undefined;
    this.#reopenAt = this.#caller.clock.now() + reopenMs;
    if (!this.#caller.curedByToken(error)) return;
    // When no token is to be had, the leases' own deadlines tell.
    this.#caller.authenticate(undefined).catch(() => {});
  }

  #onMessage(message: Uint8Array): void {
    const answer = lease.leaseKeepAlive.response.decode(message.slice());
    const renewal = this.#renewals.get(answer.id);
    if (renewal === undefined) return;
    if (answer.ttl <= 0) return this.#lose(renewal, new EtcdError(errorSpecs.leaseNotFound));
    // The server counted from some moment after the request was sent.
    const sentAt = renewal.sentAt ?? this.#caller.clock.now();
    renewal.sentAt = undefined;
    renewal.deadline = sentAt + answer.ttl * 1000;
    renewal.due = this.#caller.clock.now() + (answer.ttl * 1000) / 3;
    for (const user of [...renewal.users]) user.answered(answer);
    // A short lease is due before the next look at all of them.
    if (answer.ttl * 1000 < 3 * tickMs) this.#tick();
  }

  #lose(renewal: Renewal, error: EtcdError): void {
    for (const user of [...renewal.users]) user.fail(error);
  }
}
