/**
 * Calls on a service table within the process: the client's interface over the server's handlers, without sockets or
 * bytes on a wire. Deterministic: everything is delivered in the order it was sent, by the scheduler that is injected.
 */
import {
  type CallObserver,
  type MessageWriter,
  type MetadataEntries,
  type MetadataValue,
  type MethodHandler,
  type PeerInfo,
  type ServerCall,
  type ServiceTable,
  type Status,
  StatusCode,
  type StreamReceiver,
  sizeOfPieces,
} from "./call.js";
import type { CallOpener, ClientCall, ClientCallOptions, ClientReceiver } from "./client-call.js";
import { grpcServices, unknownMethod } from "./core/grpc-request.js";
import { type ConnectionLimits, serverLimits } from "./core/limits.js";

/** The clock of the transport. The server's `Clock` is one. */
export interface InProcessScheduler {
  /** Runs `callback` once after `delayMs`. */
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
  /** Runs `callback` soon, after the work at hand; callbacks run in the order given. */
  defer(callback: () => void): void;
}

export interface InProcessConnection extends CallOpener {
  /** Cancels every open call; later calls end with UNAVAILABLE. */
  close(): void;
}

const peer: PeerInfo = { address: "in-process", tls: false, commonName: undefined };
const okStatus: Status = { code: StatusCode.ok, message: "" };
const cancelStatus: Status = { code: StatusCode.cancelled, message: "context canceled" };
const deadlineStatus: Status = { code: StatusCode.deadlineExceeded, message: "context deadline exceeded" };
const closedStatus: Status = { code: StatusCode.unavailable, message: "the connection is closed" };

/** How much of what one side sends the other may leave unread; as in `ConnectionLimits`. */
export type InProcessLimits = Pick<ConnectionLimits, "unsentHighWaterBytes" | "unsentLowWaterBytes">;

/** Calls the handlers of `table`. `limits` are those of a server unless given. */
export function connectInProcess(
  table: ServiceTable,
  scheduler: InProcessScheduler,
  limits: InProcessLimits = serverLimits,
): InProcessConnection {
  const { names } = grpcServices(table);
  const deliveries = new DeliveryQueue(scheduler);
  const calls: Set<Call> = new Set();
  let closed = false;
  return {
    open(path, options, receiver) {
      const handler = table.get(path);
      const call = new Call(path, options, receiver, handler, { scheduler, deliveries, calls, limits });
      if (closed) call.refuse(closedStatus);
      else if (handler === undefined) call.refuse(unknownMethod(path, names).status);
      else call.start(options);
      return call.client;
    },
    close() {
      closed = true;
      for (const call of [...calls]) call.cancel(cancelStatus);
    },
  };
}

/** Runs deliveries one after the other, in the order they were made, never within the code that makes them. */
class DeliveryQueue {
  readonly #scheduler: InProcessScheduler;
  #queue: (() => void)[] = [];
  #scheduled = false;

  constructor(scheduler: InProcessScheduler) {
    this.#scheduler = scheduler;
  }

  push(delivery: () => void): void {
    this.#queue.push(delivery);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduler.defer(() => this.#run());
  }

  #run(): void {
    // What is sent meanwhile is delivered in the next turn, so that two busy ends cannot hold up the loop.
    const queue = this.#queue;
    this.#queue = [];
    this.#scheduled = false;
    for (const delivery of queue) delivery();
  }
}

/** What happens in one direction. */
interface PipeEnd {
  onMessage(message: Uint8Array): void;
  /** No more messages: the client's half-close, or the server's status. */
  onEnd(): void;
  onDrain(): void;
}

/** Messages in one direction, with back-pressure. */
class Pipe {
  readonly #deliveries: DeliveryQueue;
  readonly #limits: InProcessLimits;
  readonly #end: PipeEnd;
  #messages: Uint8Array[] = [];
  #ending = false;
  #done = false;
  #paused = false;
  #choked = false;
  #scheduled = false;
  unsentBytes = 0;

  constructor(deliveries: DeliveryQueue, limits: InProcessLimits, end: PipeEnd) {
    this.#deliveries = deliveries;
    this.#limits = limits;
    this.#end = end;
  }

  /** Nothing can be sent any more. */
  get ending(): boolean {
    return this.#ending;
  }

  get overCap(): boolean {
    return this.unsentBytes > serverLimits.unsentStreamBytesMax;
  }

  send(sizeBytes: number, write: MessageWriter): boolean {
    const message = new Uint8Array(sizeBytes);
    write(message, 0);
    this.#messages.push(message);
    this.unsentBytes += sizeBytes;
    if (this.unsentBytes >= this.#limits.unsentHighWaterBytes) this.#choked = true;
    this.#schedule();
    return !this.#choked;
  }

  end(): void {
    this.#ending = true;
    this.#schedule();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  /** Drops what was not delivered. */
  destroy(): void {
    this.#ending = true;
    this.#done = true;
    this.#messages = [];
    this.unsentBytes = 0;
  }

  #schedule(): void {
    if (this.#scheduled || this.#done || this.#paused) return;
    if (this.#messages.length === 0 && !this.#ending) return;
    this.#scheduled = true;
    this.#deliveries.push(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const messages = this.#messages;
    let count = 0;
    while (count < messages.length && !this.#paused && !this.#done) {
      const message = messages[count++] as Uint8Array;
      this.unsentBytes -= message.length;
      this.#end.onMessage(message);
    }
    if (this.#done) return;
    messages.splice(0, count);
    if (this.#choked && this.unsentBytes <= this.#limits.unsentLowWaterBytes) {
      this.#choked = false;
      this.#end.onDrain();
    }
    if (this.#ending && !this.#done && this.#messages.length === 0 && !this.#paused) {
      this.#done = true;
      this.#end.onEnd();
    } else this.#schedule();
  }
}

/** Metadata as it would arrive: lower-case names, bytes copied. */
function copyMetadata(entries: MetadataEntries | undefined): MetadataEntries {
  return (entries ?? []).map(([name, value]): [string, MetadataValue] => [
    name.toLowerCase(),
    typeof value === "string" ? value : value.slice(),
  ]);
}

interface CallContext {
  readonly scheduler: InProcessScheduler;
  readonly deliveries: DeliveryQueue;
  readonly limits: InProcessLimits;
  /** The open calls, for `close`. */
  readonly calls: Set<Call>;
}

/** One call: its two ends and what lies between them. */
class Call {
  readonly client: ClientCall;
  readonly #server: ServerCall;
  readonly #receiver: ClientReceiver;
  readonly #handler: MethodHandler | undefined;
  readonly #context: CallContext;
  readonly #up: Pipe;
  readonly #down: Pipe;
  #streamReceiver: StreamReceiver | undefined;
  #requestSeen = false;
  #clientEnded = false;
  #serverEnded = false;
  #headersDue = true;
  #status: Status = okStatus;
  #timer: { cancel(): void } | undefined;
  #stopListening: (() => void) | undefined;
  /** Of a call that was handed to its handler and has not ended. */
  #observer: CallObserver | undefined;
  #startedAt = 0;
  #cancelCallback: ((status: Status) => void) | undefined;
  #drainCallback: (() => void) | undefined;

  constructor(
    path: string,
    options: ClientCallOptions,
    receiver: ClientReceiver,
    handler: MethodHandler | undefined,
    context: CallContext,
  ) {
    this.#receiver = receiver;
    this.#handler = handler;
    this.#context = context;
    this.#up = new Pipe(context.deliveries, context.limits, {
      onMessage: (message) => this.#onRequest(message),
      onEnd: () => this.#onHalfClose(),
      onDrain: () => this.#receiver.onDrain?.(),
    });
    this.#down = new Pipe(context.deliveries, context.limits, {
      onMessage: (message) => this.#onAnswer(message),
      onEnd: () => this.#endClient(this.#status),
      onDrain: () => this.#drainCallback?.(),
    });
    this.client = this.#makeClient();
    this.#server = this.#makeServer(path, copyMetadata(options.metadata), options.timeoutMs);
  }

  start(options: ClientCallOptions): void {
    const { scheduler, deliveries, calls } = this.#context;
    const { timeoutMs, signal } = options;
    if (signal?.aborted === true) return this.refuse(cancelStatus);
    if (timeoutMs !== undefined && timeoutMs <= 0) return this.refuse(deadlineStatus);
    calls.add(this);
    if (signal !== undefined) {
      const onAbort = (): void => this.cancel(cancelStatus);
      signal.addEventListener("abort", onAbort);
      this.#stopListening = () => signal.removeEventListener("abort", onAbort);
    }
    if (timeoutMs !== undefined) this.#timer = scheduler.setTimer(timeoutMs, () => this.cancel(deadlineStatus));
    deliveries.push(() => {
      if (this.#handler?.kind === "stream" && !this.#serverEnded) {
        this.#observe(this.#handler.observer);
        this.#streamReceiver = this.#handler.open(this.#server);
      }
    });
  }

  /** Ends the call without a handler. */
  refuse(status: Status): void {
    this.#serverEnded = true;
    this.#status = status;
    this.#headersDue = false;
    this.#up.destroy();
    this.#down.end();
  }

  /** Ends the call at once on both sides. */
  cancel(status: Status): void {
    if (this.#clientEnded) return;
    this.#up.destroy();
    this.#down.destroy();
    if (!this.#serverEnded) {
      this.#serverEnded = true;
      this.#observeEnd(status.code);
      this.#context.deliveries.push(() => this.#cancelCallback?.(status));
    }
    this.#endClient(status);
  }

  #makeClient(): ClientCall {
    const call = this;
    return {
      get ended() {
        return call.#clientEnded;
      },
      get unsentBytes() {
        return call.#up.unsentBytes;
      },
      send: (sizeBytes, write) => this.#sendUp(sizeBytes, write),
      sendLast: (sizeBytes, write) => {
        this.#sendUp(sizeBytes, write);
        this.client.halfClose();
      },
      halfClose: () => {
        if (!this.#clientEnded && !this.#up.ending) this.#up.end();
      },
      cancel: () => this.cancel(cancelStatus),
      pauseReceiving: () => this.#down.pause(),
      resumeReceiving: () => this.#down.resume(),
    };
  }

  #makeServer(path: string, metadata: MetadataEntries, timeoutMs: number | undefined): ServerCall {
    const call = this;
    return {
      path,
      metadata,
      peer,
      timeoutMs,
      get ended() {
        return call.#serverEnded;
      },
      get unsentBytes() {
        return call.#down.unsentBytes;
      },
      header: (name) => {
        const entry = metadata.find(([key, value]) => key === name && typeof value === "string");
        return entry?.[1] as string | undefined;
      },
      send: (sizeBytes, write) => this.#sendDown(sizeBytes, write),
      sendPieces: (pieces) => this.#sendDown(sizeOfPieces(pieces), writerOf(pieces)),
      respond: (sizeBytes, write) => this.#respond(sizeBytes, write),
      respondPieces: (pieces) => this.#respond(sizeOfPieces(pieces), writerOf(pieces)),
      end: (status) => this.#endServer(status),
      pauseReceiving: () => this.#up.pause(),
      resumeReceiving: () => this.#up.resume(),
      onCancel: (callback) => {
        this.#cancelCallback = callback;
      },
      onDrain: (callback) => {
        this.#drainCallback = callback;
      },
    };
  }

  #respond(sizeBytes: number, write: MessageWriter): void {
    if (this.#serverEnded) return;
    this.#observer?.sent(sizeBytes);
    // Whatever becomes of the message, the handler's answer was a good one.
    this.#observeEnd(okStatus.code);
    this.#sendDown(sizeBytes, write);
    this.#endServer(okStatus);
  }

  #sendUp(sizeBytes: number, write: MessageWriter): boolean {
    if (this.#clientEnded || this.#up.ending) return false;
    if (this.#up.overCap) {
      this.cancel({ code: StatusCode.resourceExhausted, message: "the server does not read fast enough" });
      return false;
    }
    return this.#up.send(sizeBytes, write);
  }

  #sendDown(sizeBytes: number, write: MessageWriter): boolean {
    if (this.#serverEnded) return false;
    this.#observer?.sent(sizeBytes);
    if (this.#down.overCap) {
      this.cancel({ code: StatusCode.resourceExhausted, message: "the client does not read fast enough" });
      return false;
    }
    return this.#down.send(sizeBytes, write);
  }

  #onRequest(message: Uint8Array): void {
    if (this.#serverEnded) return;
    if (this.#handler?.kind === "stream") {
      this.#observer?.received(message.length);
      this.#streamReceiver?.onMessage(message);
    } else if (!this.#requestSeen) {
      this.#requestSeen = true;
      this.#observe(this.#handler?.observer);
      this.#observer?.received(message.length);
      this.#handler?.handle(this.#server, message);
    }
  }

  #onHalfClose(): void {
    if (this.#serverEnded) return;
    if (this.#handler?.kind === "stream") this.#streamReceiver?.onHalfClose();
    else if (!this.#requestSeen) this.#endServer({ code: StatusCode.unknown, message: "EOF" });
  }

  #observe(observer: CallObserver | undefined): void {
    if (observer === undefined) return;
    this.#observer = observer;
    this.#startedAt = observer.started(this.#server);
  }

  #observeEnd(code: StatusCode): void {
    this.#observer?.ended(code, this.#startedAt);
    this.#observer = undefined;
  }

  #onAnswer(message: Uint8Array): void {
    if (this.#headersDue) {
      this.#headersDue = false;
      this.#receiver.onHeaders?.([]);
      if (this.#clientEnded) return;
    }
    this.#receiver.onMessage(message);
  }

  #endServer(status: Status): void {
    if (this.#serverEnded) return;
    this.#serverEnded = true;
    this.#observeEnd(status.code);
    const { trailers } = status;
    this.#status = trailers === undefined ? status : { ...status, trailers: copyMetadata(trailers) };
    this.#up.destroy();
    this.#down.end();
  }

  #endClient(status: Status): void {
    if (this.#clientEnded) return;
    this.#clientEnded = true;
    this.#context.calls.delete(this);
    this.#timer?.cancel();
    this.#stopListening?.();
    this.#receiver.onEnd({ ...status, unprocessed: this.#handler === undefined });
  }
}

/** Writes a message in pieces. */
function writerOf(pieces: readonly Uint8Array[]): MessageWriter {
  return (target, offset) => {
    let at = offset;
    for (const piece of pieces) {
      target.set(piece, at);
      at += piece.length;
    }
  };
}
