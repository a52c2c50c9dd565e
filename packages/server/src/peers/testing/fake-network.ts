/** A network whose peer is the test: requests are kept until they are answered, streams are fed by hand. */

import type {
  LogFields,
  Logger,
  LogLevel,
  Network,
  PeerStream,
  PostRequest,
  PostResponse,
  ServedBody,
  ServedRequest,
} from "../../env.js";

export interface AskedPost {
  readonly request: PostRequest;
  answer(status: number, body?: Uint8Array): void;
  fail(error: Error): void;
}

/** The peer's end of a stream that was dialled. */
export class AskedStream {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  closed = false;
  #settle: { resolve(stream: PeerStream): void; reject(error: Error): void };
  #onData: ((chunk: Uint8Array) => void) | undefined;
  #onEnd: ((error: Error | undefined) => void) | undefined;

  constructor(
    request: { readonly url: string; readonly headers: Readonly<Record<string, string>> },
    settle: { resolve(stream: PeerStream): void; reject(error: Error): void },
  ) {
    this.url = request.url;
    this.headers = request.headers;
    this.#settle = settle;
  }

  accept(status = 200): void {
    this.#settle.resolve({
      status,
      headers: {},
      start: (onData, onEnd) => {
        this.#onData = onData;
        this.#onEnd = onEnd;
      },
      close: () => {
        this.closed = true;
      },
    });
  }

  fail(error: Error): void {
    this.#settle.reject(error);
  }

  send(chunk: Uint8Array): void {
    this.#onData?.(chunk);
  }

  end(error?: Error): void {
    this.#onEnd?.(error);
  }
}

export class FakeNetwork implements Network {
  readonly posts: AskedPost[] = [];
  readonly streams: AskedStream[] = [];

  post(request: PostRequest): Promise<PostResponse> {
    return new Promise((resolve, reject) => {
      this.posts.push({
        request,
        answer: (status, body = new Uint8Array(0)) => resolve({ status, headers: {}, body }),
        fail: reject,
      });
    });
  }

  openStream(request: Omit<PostRequest, "body" | "responseBytesMax">): Promise<PeerStream> {
    return new Promise((resolve, reject) => this.streams.push(new AskedStream(request, { resolve, reject })));
  }

  serve(): never {
    throw new Error("this network does not listen");
  }
}

/** The body of an answer that stays open. `full` makes writes report back-pressure. */
export class FakeBody implements ServedBody {
  readonly written: Uint8Array[] = [];
  ended = false;
  full = false;
  #onDrain: (() => void) | undefined;
  #onClose: (() => void) | undefined;

  write(bytes: Uint8Array): boolean {
    this.written.push(bytes);
    return !this.full;
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  onClose(callback: () => void): void {
    this.#onClose = callback;
  }

  end(): void {
    this.ended = true;
  }

  drain(): void {
    this.full = false;
    this.#onDrain?.();
  }

  close(): void {
    this.#onClose?.();
  }
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Of an answer that stays open. */
  readonly open: FakeBody | undefined;
}

/** A request to this member's peer port, and what it was answered with. */
export class FakeRequest implements ServedRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly remoteAddress = "192.0.2.1";
  readonly answered: Promise<Answered>;
  readonly #body: Uint8Array | Error;
  readonly #trailers: Readonly<Record<string, string>>;
  #resolve: (answered: Answered) => void = () => undefined;

  constructor(
    method: string,
    target: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | Error = new Uint8Array(0),
    trailers: Readonly<Record<string, string>> = {},
  ) {
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.#body = body;
    this.#trailers = trailers;
    this.answered = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  trailers(): Readonly<Record<string, string>> {
    return this.#trailers;
  }

  async *body(): AsyncIterable<Uint8Array> {
    if (this.#body instanceof Error) throw this.#body;
    yield this.#body;
  }

  respond(status: number, headers: Readonly<Record<string, string>>, body: Uint8Array | string): void {
    const text = typeof body === "string" ? body : new TextDecoder().decode(body);
    this.#resolve({ status, headers, body: text, open: undefined });
  }

  openBody(status: number, headers: Readonly<Record<string, string>>): ServedBody {
    const open = new FakeBody();
    this.#resolve({ status, headers, body: "", open });
    return open;
  }
}

/** A log that can be looked at. */
export class FakeLogger implements Logger {
  readonly lines: { readonly level: LogLevel; readonly message: string; readonly fields: LogFields }[] = [];

  log(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields });
  }

  /** Messages of a level, with their `error` field if they have one. */
  at(level: LogLevel): string[] {
    return this.lines
      .filter((line) => line.level === level)
      .map(({ message, fields }) => (fields["error"] === undefined ? message : `${message}: ${fields["error"]}`));
  }
}
