/** Makes the calls of all services: metadata, deadlines, retries, errors. */

import { EtcdError, type Method } from "@etcd-ts/api";
import { createResponseHeader, type ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import { GrpcError, type MetadataEntries, StatusCode, unary } from "@etcd-ts/grpc";
import { AsyncQueue } from "./async-queue.js";
import { Code, canceledError, deadlineError } from "./errors.js";
import { mayRetry, retryDelayMs } from "./retry.js";
import type { CallReceiver, CancelSignal, ClientClock, Connection, ConnectionCall, Transport } from "./transport.js";

/** What every method of the client takes. */
export interface CallOptions {
  /** Gives the call up: it rejects with the code CANCELLED. Whether a write has happened is then not known. */
  readonly signal?: CancelSignal | undefined;
  /** Milliseconds for the call with all its retries; default: the client's `timeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /** Further metadata, e.g. of a caller on whose behalf the call is made. */
  readonly metadata?: MetadataEntries | undefined;
}

/** An answer whose header is there: every etcd server sends one. */
export type Answer<T> = Omit<T, "header"> & { readonly header: ResponseHeader };

/** How a method may be repeated, and for how long it is tried. */
export interface CallRules {
  /** Doing it twice does no harm. */
  readonly repeatable: boolean;
  /** This server and no other. */
  readonly endpoint?: string | undefined;
  /** Only the call's own timeout counts, e.g. for a defragmentation. */
  readonly untimed?: boolean;
}

/** Who the client is. A token is fetched with name and password, and again when the server no longer takes it. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** A token made elsewhere, e.g. a JWT; it is sent as it is. */
  | { readonly token: string };

export interface CallerOptions {
  readonly transport: Transport;
  readonly clock: ClientClock;
  readonly timeoutMs: number | undefined;
  readonly attemptsMax: number;
  /** Fetches a token; undefined: calls carry none, or always `token`. */
  readonly authenticate: ((caller: Caller, timeoutMs: number | undefined) => Promise<string | undefined>) | undefined;
  readonly token: string | undefined;
}

/** Source: etcd api/v3rpc/rpctypes/metadatafields.go; the value is major.minor of the API this client knows. */
const versionEntry: readonly [string, string] = ["client-api-version", "3.7"];
const requireLeaderEntry: readonly [string, string] = ["hasleader", "true"];

export class Caller {
  readonly transport: Transport;
  readonly clock: ClientClock;
  readonly #options: CallerOptions;
  readonly #closing: AbortController = new AbortController();
  /** Ends the pauses under way; a listener on `closing` for each would be more than Node takes without a warning. */
  readonly #sleepers: Set<() => void> = new Set();
  #metadata: MetadataEntries = [versionEntry];
  #authentication: Promise<void> | undefined;
  #authenticated: boolean;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.transport = options.transport;
    this.clock = options.clock;
    this.#authenticated = options.authenticate === undefined;
    this.#setToken(options.token);
  }

  /** Aborted when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort();
    for (const wake of [...this.#sleepers]) wake();
    this.transport.close();
  }

  /** Makes a unary call, again where the rules of `retry.ts` allow it. */
  async unary<Request, RequestInit, Response extends { readonly header: ResponseHeader | undefined }, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    rules: CallRules,
    options: CallOptions = {},
  ): Promise<Answer<Response>> {
    const { request: encoder, response: decoder } = method;
    const wire = {
      sizeBytes: encoder.size(request),
      write: (target: Uint8Array, offset: number): void => void encoder.encode(request, target, offset),
      // The message is a view of the connection's buffer; what is decoded keeps views of the copy.
      decode: (message: Uint8Array): Response => decoder.decode(message.slice()),
    };
    const timeoutMs = options.timeoutMs ?? (rules.untimed === true ? undefined : this.#options.timeoutMs);
    const deadline = timeoutMs === undefined ? undefined : this.clock.now() + timeoutMs;
    const { signal } = options;
    if (!this.#authenticated) await this.authenticate(timeoutMs);
    for (let attempt = 0; ; attempt++) {
      const remainingMs = deadline === undefined ? undefined : deadline - this.clock.now();
      this.#checkGoingOn(remainingMs, signal);
      const picked =
        rules.endpoint === undefined
          ? this.transport.connect(remainingMs, signal)
          : this.transport.connectTo(rules.endpoint);
      const connection = picked instanceof Promise ? await picked : picked;
      const metadata = options.metadata === undefined ? this.#metadata : [...this.#metadata, ...options.metadata];
      try {
        const { message } = await unary(connection, method.path, wire, { metadata, timeoutMs: remainingMs, signal });
        return withHeader(message);
      } catch (thrown) {
        const failure = failureOf(thrown);
        await this.#prepareRetry(failure, { attempt, deadline, rules, signal });
      }
    }
  }

  /** Opens a stream on the next ready server. Rejects with `EtcdError` when there is none, or no token. */
  async openStream(
    method: { readonly path: string },
    receiver: CallReceiver,
    options: CallOptions & { readonly requireLeader?: boolean; readonly endpoint?: string | undefined } = {},
  ): Promise<ConnectionCall> {
    const { signal, timeoutMs } = options;
    if (!this.#authenticated) await this.authenticate(timeoutMs ?? this.#options.timeoutMs);
    this.#checkGoingOn(timeoutMs, signal);
    const connection: Connection =
      options.endpoint === undefined
        ? await this.transport.connect(timeoutMs, signal)
        : this.transport.connectTo(options.endpoint);
    this.#checkGoingOn(timeoutMs, signal);
    const metadata = [
      ...this.#metadata,
      ...(options.requireLeader === true ? [requireLeaderEntry] : []),
      ...(options.metadata ?? []),
    ];
    return connection.open(method.path, { metadata, timeoutMs, signal }, receiver);
  }

  /**
   * A call with one request and many answers, as an iterator. The server is held up while `waitingMax` answers wait.
   * Leaving the loop cancels the call.
   */
  serverStream<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    options: CallOptions & { readonly endpoint?: string | undefined } = {},
    waitingMax = 4,
  ): AsyncIterableIterator<Response> {
    let call: ConnectionCall | undefined;
    let left = false;
    const answers: AsyncQueue<Response> = new AsyncQueue({
      onEmpty: () => call?.resumeReceiving(),
      onReturn: () => {
        left = true;
        call?.cancel();
      },
    });
    const receiver: CallReceiver = {
      onMessage: (message) => {
        try {
          answers.push(method.response.decode(message.slice()));
        } catch (error) {
          answers.end(error);
          call?.cancel();
        }
        if (answers.size >= waitingMax) call?.pauseReceiving();
      },
      onEnd: (status) => answers.end(status.code === StatusCode.ok ? undefined : new EtcdError(status)),
    };
    this.openStream(method, receiver, options).then(
      (opened) => {
        call = opened;
        if (left) return opened.cancel();
        const codec = method.request;
        opened.sendLast(codec.size(request), (target, offset) => void codec.encode(request, target, offset));
      },
      (error: unknown) => answers.end(error),
    );
    return answers;
  }

  /** Fetches a token, once for all who ask at the same time. */
  authenticate(timeoutMs: number | undefined): Promise<void> {
    const { authenticate } = this.#options;
    if (authenticate === undefined) return Promise.resolve();
    this.#authentication ??= (async () => {
      try {
        this.#authenticated = true;
        this.#setToken(undefined);
        this.#setToken(await authenticate(this, timeoutMs));
      } catch (error) {
        this.#authenticated = false;
        throw error;
      } finally {
        this.#authentication = undefined;
      }
    })();
    return this.#authentication;
  }

  /** True when a new token may cure the error. Source: etcd client/v3/retry_interceptor.go shouldRefreshToken. */
  curedByToken(error: EtcdError): boolean {
    if (this.#options.authenticate === undefined) return false;
    return error.reason === "invalidAuthToken" || error.reason === "authOldRevision" || error.reason === "userEmpty";
  }

  async sleep(delayMs: number, signal: CancelSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", done);
        this.#sleepers.delete(done);
        resolve();
      };
      const timer = this.clock.setTimer(delayMs, done);
      signal?.addEventListener("abort", done);
      this.#sleepers.add(done);
      if (signal?.aborted === true || this.closing.aborted) done();
    });
  }

  #setToken(token: string | undefined): void {
    this.#metadata = token === undefined ? [versionEntry] : [versionEntry, ["token", token]];
  }

  #checkGoingOn(remainingMs: number | undefined, signal: CancelSignal | undefined): void {
    if (this.closing.aborted) throw canceledError(new Error("the client is closed"));
    if (signal?.aborted === true) throw canceledError();
    if (remainingMs !== undefined && remainingMs <= 0) throw deadlineError();
  }

  /** Returns when the call may be made again, throws its error when not. */
  async #prepareRetry(failure: Failure, state: RetryState): Promise<void> {
    const { error } = failure;
    const { attempt, deadline, rules, signal } = state;
    const over = deadline !== undefined && this.clock.now() >= deadline;
    if (this.closing.aborted || signal?.aborted === true || over || attempt + 1 >= this.#options.attemptsMax)
      throw error;
    if (this.curedByToken(error)) {
      await this.authenticate(deadline === undefined ? undefined : deadline - this.clock.now());
      return;
    }
    const endpointCount = rules.endpoint === undefined ? this.transport.endpoints.length : 1;
    if (!mayRetry(failure, { repeatable: rules.repeatable, endpointCount })) throw error;
    const delayMs = retryDelayMs(attempt + 1, endpointCount, this.clock.random());
    if (deadline !== undefined && this.clock.now() + delayMs >= deadline) throw error;
    if (delayMs > 0) await this.sleep(delayMs, signal);
  }
}

interface Failure {
  readonly error: EtcdError;
  readonly unprocessed: boolean;
}

interface RetryState {
  readonly attempt: number;
  readonly deadline: number | undefined;
  readonly rules: CallRules;
  readonly signal: CancelSignal | undefined;
}

function failureOf(thrown: unknown): Failure {
  if (thrown instanceof GrpcError) {
    const { code, message, unprocessed } = thrown;
    return { error: new EtcdError({ code, message }, thrown), unprocessed };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { error: new EtcdError({ code: Code.internal, message }, thrown), unprocessed: false };
}

/** Source: the header is part of every answer of etcd; protobuf alone cannot say so. */
export function withHeader<T extends { readonly header: ResponseHeader | undefined }>(answer: T): Answer<T> {
  return { ...answer, header: answer.header ?? createResponseHeader() };
}
