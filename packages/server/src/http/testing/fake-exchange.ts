import type { HttpBodyReceiver, HttpExchange, HttpHandler, HttpHeaders, PeerInfo } from "@etcd-ts/grpc";

export interface FakeRequest {
  readonly method?: string;
  readonly headers?: HttpHeaders;
  readonly body?: string;
  readonly peer?: Partial<PeerInfo>;
}

/** An exchange that keeps what is answered, for handlers to be asked without a network. */
export class FakeExchange implements HttpExchange {
  readonly protocol = "HTTP/1.1";
  readonly method: string;
  readonly target: string;
  readonly headers: HttpHeaders;
  readonly peer: PeerInfo;
  ended = false;
  status = 0;
  answerHeaders: HttpHeaders = {};
  body = "";
  receiver: HttpBodyReceiver | undefined;
  paused = false;
  /** What `send` returns. */
  writable = true;
  readonly done: Promise<void>;
  #resolve: () => void = () => undefined;
  #onCancel: () => void = () => undefined;
  #onDrain: () => void = () => undefined;

  constructor(target: string, { method = "GET", headers = {}, peer = {} }: FakeRequest = {}) {
    this.target = target;
    this.method = method;
    this.headers = headers;
    this.peer = { address: "127.0.0.1:5", tls: false, commonName: undefined, ...peer };
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  receive(receiver: HttpBodyReceiver): void {
    this.receiver = receiver;
  }

  pauseReceiving(): void {
    this.paused = true;
  }

  resumeReceiving(): void {
    this.paused = false;
  }

  respond(status: number, headers: HttpHeaders, body: Uint8Array | string): void {
    if (this.ended) return;
    this.open(status, headers);
    this.body = typeof body === "string" ? body : new TextDecoder().decode(body);
    this.#finish();
  }

  open(status: number, headers: HttpHeaders): void {
    this.status = status;
    this.answerHeaders = headers;
  }

  send(bytes: Uint8Array): boolean {
    this.body += new TextDecoder().decode(bytes);
    return this.writable;
  }

  end(): void {
    this.#finish();
  }

  onCancel(callback: () => void): void {
    this.#onCancel = callback;
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  /** The client goes away. */
  cancel(): void {
    this.ended = true;
    this.#onCancel();
    this.#resolve();
  }

  drain(): void {
    this.writable = true;
    this.#onDrain();
  }

  #finish(): void {
    this.ended = true;
    this.#resolve();
  }
}

/** Asks a handler, sending the body in one piece if there is one, and waits for the end of the answer. */
export async function ask(handler: HttpHandler, target: string, request: FakeRequest = {}): Promise<FakeExchange> {
  const exchange = new FakeExchange(target, request);
  handler(exchange);
  if (request.body !== undefined) exchange.receiver?.onData(new TextEncoder().encode(request.body));
  exchange.receiver?.onEnd();
  await exchange.done;
  return exchange;
}
