/**
 * How long a peer may keep a connection waiting: for its preface, for the rest of a frame or header block, for the next
 * part of a message it owes, for a sign of life. One timer of the connection looks at all of them every few seconds.
 */
import type { FrameReader } from "./frame-reader.js";
import type { ConnectionLimits } from "./limits.js";
import { ErrorCode } from "./protocol.js";
import type { TimerEntry, TimerWheel } from "./timer-wheel.js";

/** The connection whose times are kept. */
export interface TimedConnection {
  nowMs: number;
  /** The peer's first SETTINGS have come. */
  readonly greeted: boolean;
  readonly over: boolean;
  readonly streamCount: number;
  fail(code: ErrorCode, why: string): void;
  lost(why: string): void;
  /** Ends the streams whose next bytes have been owed since `sinceMs` or longer. */
  failOwing(sinceMs: number): void;
  sendKeepalive(): void;
}

export class ConnectionTimeouts implements TimerEntry {
  // For the timer wheel.
  deadlineMs = 0;
  previousTimer: TimerEntry | undefined = undefined;
  nextTimer: TimerEntry | undefined = undefined;

  readonly #connection: TimedConnection;
  readonly #limits: ConnectionLimits;
  readonly #timers: TimerWheel;
  readonly #isServer: boolean;
  readonly #intervalMs: number;
  readonly #startedMs: number;
  #lastReadMs: number;
  /** When a frame or block was begun that is still unfinished; −1 = none. */
  #unfinishedSinceMs = -1;
  /** Which frame that is. */
  #unfinishedFrame = 0;
  #keepaliveSentMs = -1;

  constructor(
    connection: TimedConnection,
    config: { readonly limits: ConnectionLimits; readonly timers: TimerWheel; readonly isServer: boolean },
  ) {
    this.#connection = connection;
    this.#limits = config.limits;
    this.#timers = config.timers;
    this.#isServer = config.isServer;
    this.#intervalMs = lookInterval(config.limits);
    this.#startedMs = config.timers.nowMs;
    this.#lastReadMs = config.timers.nowMs;
  }

  start(): void {
    this.#timers.schedule(this, this.#connection.nowMs + this.#intervalMs);
  }

  stop(): void {
    this.#timers.cancel(this);
  }

  /** Something has come. */
  received(nowMs: number): void {
    this.#lastReadMs = nowMs;
    this.#keepaliveSentMs = -1;
  }

  /** What has come was read: since when is the frame or header block at its end unfinished? */
  readUpTo({ midFrame, frameCount }: FrameReader, midBlock: boolean, nowMs: number): void {
    if (!midFrame && !midBlock) this.#unfinishedSinceMs = -1;
    // The chunks of a busy peer all end within a frame, but each in another.
    else if (this.#unfinishedSinceMs < 0 || (!midBlock && frameCount !== this.#unfinishedFrame)) {
      this.#unfinishedSinceMs = nowMs;
      this.#unfinishedFrame = frameCount;
    }
  }

  onDeadline(nowMs: number): void {
    const connection = this.#connection;
    const { prefaceTimeoutMs, headersTimeoutMs, bodyTimeoutMs } = this.#limits;
    connection.nowMs = nowMs;
    this.#timers.schedule(this, nowMs + this.#intervalMs);
    if (!connection.greeted) {
      if (nowMs - this.#startedMs >= prefaceTimeoutMs)
        connection.fail(ErrorCode.settingsTimeout, "no SETTINGS in time");
      return;
    }
    if (this.#unfinishedSinceMs >= 0 && nowMs - this.#unfinishedSinceMs >= headersTimeoutMs) {
      return connection.fail(ErrorCode.enhanceYourCalm, "a frame was not finished in time");
    }
    if (bodyTimeoutMs > 0) connection.failOwing(nowMs - bodyTimeoutMs);
    this.#lookForLife(nowMs);
  }

  #lookForLife(nowMs: number): void {
    const { keepalive } = this.#limits;
    if (this.#connection.over || keepalive.intervalMs === 0) return;
    if (this.#keepaliveSentMs >= 0) {
      if (keepalive.timeoutMs > 0 && nowMs - this.#keepaliveSentMs >= keepalive.timeoutMs) {
        this.#connection.lost("keepalive ping not acked within timeout");
      }
      return;
    }
    if (nowMs - this.#lastReadMs < keepalive.intervalMs) return;
    if (!this.#isServer && this.#connection.streamCount === 0 && !keepalive.permitWithoutStream) return;
    this.#keepaliveSentMs = nowMs;
    this.#connection.sendKeepalive();
  }
}

/** How often to look: a quarter of the shortest time, so that none is late by more. */
function lookInterval(limits: ConnectionLimits): number {
  const times = [limits.prefaceTimeoutMs, limits.headersTimeoutMs, limits.bodyTimeoutMs];
  times.push(limits.keepalive.intervalMs, limits.keepalive.timeoutMs);
  return Math.max(8, Math.min(5000, Math.min(...times.filter((time) => time > 0)) / 4));
}
