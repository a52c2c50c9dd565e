/**
 * The closed loop: connections × streams callers, each starting its next call when the last one has ended and its
 * answer has been checked.
 */

import { type CallHandler, Connection } from "./connection.js";
import { Histogram } from "./histogram.js";
import type { Region } from "./region.js";

/** What one caller does. Every caller has its own. */
export interface Work {
  /** Writes the next request; undefined when there is nothing left to do. The message is copied at once. */
  prepare(): { readonly path: string; readonly message: Uint8Array; readonly size: number } | undefined;
  /** Checks the answer to the last request at `[start, end)` and throws if it is wrong. */
  check(region: Region, start: number, end: number): void;
}

export interface LoopOptions {
  readonly host: string;
  readonly port: number;
  readonly connections: number;
  /** Callers per connection. */
  readonly streams: number;
  /** Stops after this time; without it, when the work is done. */
  readonly seconds?: number;
  readonly work: (caller: number) => Work;
}

export interface LoopResult {
  readonly calls: number;
  readonly seconds: number;
  readonly latency: Histogram;
}

/** Runs the callers until the time is over or no work is left. Rejects at the first wrong answer or failed call. */
export async function runClosedLoop(options: LoopOptions): Promise<LoopResult> {
  const latency = new Histogram();
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  // Failures before the race below is entered are kept for it.
  failed.catch(() => {});
  const connections: Connection[] = [];
  try {
    for (let i = 0; i < options.connections; i++) {
      connections.push(await Connection.open(options.host, options.port, fail));
    }
    const startedMs = performance.now();
    const deadlineMs = options.seconds === undefined ? Number.POSITIVE_INFINITY : startedMs + options.seconds * 1000;
    const callers = connections.flatMap((connection, c) =>
      Array.from({ length: options.streams }, (_, s) => {
        const work = options.work(c * options.streams + s);
        return new Promise<void>((resolve) => {
          new Caller(connection, work, { deadlineMs, latency, onDone: resolve, onFailure: fail }).next(startedMs);
        });
      }),
    );
    await Promise.race([Promise.all(callers), failed]);
    return { calls: latency.count, seconds: (performance.now() - startedMs) / 1000, latency };
  } finally {
    for (const connection of connections) {
      connection.close();
    }
  }
}

interface CallerOptions {
  readonly deadlineMs: number;
  readonly latency: Histogram;
  readonly onDone: () => void;
  readonly onFailure: (error: Error) => void;
}

class Caller implements CallHandler {
  readonly #connection: Connection;
  readonly #work: Work;
  readonly #options: CallerOptions;
  #sentMs = 0;
  #answers = 0;

  constructor(connection: Connection, work: Work, options: CallerOptions) {
    this.#connection = connection;
    this.#work = work;
    this.#options = options;
  }

  next(nowMs: number): void {
    this.#sentMs = nowMs;
    const request = nowMs < this.#options.deadlineMs ? this.#work.prepare() : undefined;
    if (request === undefined) {
      this.#options.onDone();
      return;
    }
    this.#answers = 0;
    this.#connection.unary(request.path, request.message, request.size, this);
  }

  onMessage(region: Region, start: number, end: number): void {
    this.#answers++;
    this.#work.check(region, start, end);
  }

  onEnd(status: number, text: string): void {
    if (status !== 0 || this.#answers !== 1) {
      this.#options.onFailure(new Error(`a call ended with status ${status} and ${this.#answers} answers: ${text}`));
      return;
    }
    const nowMs = this.#connection.turnMs;
    this.#options.latency.record(nowMs - this.#sentMs);
    this.next(nowMs);
  }
}
