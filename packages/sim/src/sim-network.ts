/**
 * The network between simulated machines: requests and byte streams as the members' HTTP transport sees them. A link from
 * one machine to another can be slow, lossy or cut, each direction by itself.
 *
 * Streams carry bytes in order, as TCP does: "loss" delays what follows and may break the connection; a cut link delivers
 * nothing until it is healed, and what was under way is lost with the connection.
 */

import type {
  Listener,
  Network,
  PeerStream,
  PostRequest,
  PostResponse,
  ServedBody,
  ServedRequest,
} from "@etcd-ts/server/internal";
import type { Incarnation } from "./incarnation.js";
import type { SimRandom } from "./random.js";
import type { World } from "./world.js";

export interface NetworkFaults {
  /** One-way delay, milliseconds, on average. */
  readonly delayMs: number;
  /** Chance that a connection breaks at a piece of data. */
  readonly breakChance: number;
  /** Chance that a piece of data is held up for `holdMs`, with all that follows. */
  readonly holdChance: number;
  readonly holdMs: number;
}

export const quietNetwork: NetworkFaults = { delayMs: 1, breakChance: 0, holdChance: 0, holdMs: 0 };

interface Serving {
  readonly incarnation: Incarnation;
  readonly handler: (request: ServedRequest) => void;
}

/** All machines' connections. Machines are known by the host part of their URLs. */
export class SimNetworkFabric {
  readonly #world: World;
  readonly #random: SimRandom;
  readonly #serving = new Map<string, Serving>();
  readonly #cut = new Set<string>();
  readonly #streams = new Set<Stream>();
  faults: NetworkFaults = quietNetwork;

  constructor(world: World, random: SimRandom) {
    this.#world = world;
    this.#random = random;
  }

  /** Stops what goes from one machine to the other; the way back stays as it is. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  /** The network of one incarnation on a machine. */
  connect(host: string, incarnation: Incarnation): Network {
    return {
      post: (request) => this.#post(host, incarnation, request),
      openStream: (request) => this.#openStream(host, incarnation, request),
      serve: (url, handler): Promise<Listener> => {
        const served = hostOf(url);
        this.#serving.set(served, { incarnation, handler });
        return Promise.resolve({
          close: () => {
            if (this.#serving.get(served)?.incarnation === incarnation) this.#serving.delete(served);
            return Promise.resolve();
          },
        });
      },
    };
  }

  /** Breaks every connection of a machine whose process has ended. */
  disconnect(host: string): void {
    for (const stream of [...this.#streams]) if (stream.from === host || stream.to === host) stream.break();
  }

  /** When a piece that leaves now arrives; undefined when it does not. */
  #arrival(from: string, to: string): number | undefined {
    if (this.isCut(from, to)) return undefined;
    const { delayMs, holdChance, holdMs } = this.faults;
    const hold = this.#random.chance(holdChance) ? this.#random.fraction() * holdMs : 0;
    return 0.05 + this.#random.exponential(delayMs) + hold;
  }

  #serverOf(url: string): Serving | undefined {
    const serving = this.#serving.get(hostOf(url));
    return serving?.incarnation.alive === true ? serving : undefined;
  }

  #post(from: string, incarnation: Incarnation, request: PostRequest): Promise<PostResponse> {
    const to = hostOf(request.url);
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (action: () => void): void => {
        if (settled || !incarnation.alive) return;
        settled = true;
        this.#world.settling();
        action();
      };
      const fail = (why: string): void => settle(() => reject(new Error(why)));
      if (request.timeoutMs > 0) incarnation.schedule(request.timeoutMs, () => fail("timeout"));
      const there = this.#arrival(from, to);
      if (there === undefined) {
        // A request without an answer and without a limit ends when TCP gives up.
        if (request.timeoutMs === 0) incarnation.schedule(tcpGiveUpMs, () => fail("connection timed out"));
        return;
      }
      this.#world.schedule(there, () => {
        const server = this.#serverOf(request.url);
        if (server === undefined) {
          incarnation.schedule(this.#arrival(to, from) ?? tcpGiveUpMs, () => fail("connection refused"));
          return;
        }
        server.incarnation.schedule(0, () => {
          server.handler(
            servedRequest(request, from, (status, headers, body) => {
              const back = this.#arrival(to, from);
              if (back === undefined) return;
              incarnation.schedule(back, () => settle(() => resolve({ status, headers, body })));
            }),
          );
        });
        if (!server.incarnation.alive) fail("connection reset");
      });
    });
  }

  #openStream(
    from: string,
    incarnation: Incarnation,
    request: Omit<PostRequest, "body" | "responseBytesMax">,
  ): Promise<PeerStream> {
    const to = hostOf(request.url);
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (action: () => void): void => {
        if (settled || !incarnation.alive) return;
        settled = true;
        this.#world.settling();
        action();
      };
      incarnation.schedule(request.timeoutMs, () => settle(() => reject(new Error("timeout"))));
      const there = this.#arrival(from, to);
      if (there === undefined) return;
      this.#world.schedule(there, () => {
        const server = this.#serverOf(request.url);
        if (server === undefined) {
          incarnation.schedule(this.#arrival(to, from) ?? tcpGiveUpMs, () => settle(() => reject(new Error("refused"))));
          return;
        }
        server.incarnation.schedule(0, () => {
          const stream = new Stream(from, to, incarnation, server.incarnation, {
            arrival: () => this.#arrival(to, from),
            breaks: () => this.#random.chance(this.faults.breakChance),
            closed: () => this.#streams.delete(stream),
          });
          const answer = (status: number, headers: Readonly<Record<string, string>>): void => {
            const back = this.#arrival(to, from);
            if (back === undefined) return;
            this.#streams.add(stream);
            incarnation.schedule(back, () => settle(() => resolve(stream.receiving(status, headers))));
          };
          server.handler({
            ...servedRequest({ ...request, responseBytesMax: 0 }, from, (status, headers) => {
              answer(status, headers);
              stream.end();
            }),
            openBody: (status, headers) => {
              answer(status, headers);
              return stream.sending();
            },
          });
        });
      });
    });
  }
}

const tcpGiveUpMs = 15_000;

/** One answer body that stays open: bytes in order from the serving side (`to`) to the dialling one (`from`). */
class Stream {
  readonly from: string;
  readonly to: string;
  readonly #receiver: Incarnation;
  readonly #sender: Incarnation;
  readonly #link: { arrival(): number | undefined; breaks(): boolean; closed(): void };
  #arrivesAt = 0;
  #open = true;
  #onData: ((chunk: Uint8Array) => void) | undefined;
  #onEnd: ((error: Error | undefined) => void) | undefined;
  #early: Uint8Array[] = [];
  #onClose: (() => void) | undefined;

  constructor(
    from: string,
    to: string,
    receiver: Incarnation,
    sender: Incarnation,
    link: { arrival(): number | undefined; breaks(): boolean; closed(): void },
  ) {
    this.from = from;
    this.to = to;
    this.#receiver = receiver;
    this.#sender = sender;
    this.#link = link;
  }

  sending(): ServedBody {
    return {
      write: (bytes) => {
        this.#send(bytes.slice());
        return true;
      },
      onDrain: () => {},
      onClose: (callback) => {
        this.#onClose = callback;
      },
      end: () => this.end(),
    };
  }

  receiving(status: number, headers: Readonly<Record<string, string>>): PeerStream {
    return {
      status,
      headers,
      start: (onData, onEnd) => {
        this.#onData = onData;
        this.#onEnd = onEnd;
        for (const chunk of this.#early.splice(0)) onData(chunk);
      },
      close: () => this.break(),
    };
  }

  end(): void {
    if (this.#open) this.break();
  }

  /** Both ends learn of it, each when its machine runs. */
  break(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#link.closed();
    this.#receiver.schedule(1, () => this.#onEnd?.(new Error("connection reset")));
    this.#sender.schedule(1, () => this.#onClose?.());
  }

  #send(bytes: Uint8Array): void {
    if (!this.#open) return;
    if (this.#link.breaks()) return this.break();
    const arrival = this.#link.arrival();
    // Nothing gets through a cut link; TCP would try for long, and the reader gives up after a silence.
    if (arrival === undefined) return;
    const now = this.#receiver.world.now;
    this.#arrivesAt = Math.max(this.#arrivesAt, now + arrival);
    this.#receiver.schedule(this.#arrivesAt - now, () => {
      if (!this.#open) return;
      if (this.#onData === undefined) this.#early.push(bytes);
      else this.#onData(bytes);
    });
  }
}

function servedRequest(
  request: PostRequest,
  from: string,
  answer: (status: number, headers: Readonly<Record<string, string>>, body: Uint8Array) => void,
): ServedRequest {
  const { pathname, search } = new URL(request.url);
  return {
    method: request.method,
    target: pathname + search,
    headers: request.headers,
    remoteAddress: from,
    body: () => bodyOf(request.body),
    respond: (status, headers, body) => {
      answer(status, headers, typeof body === "string" ? new TextEncoder().encode(body) : body.slice());
    },
    openBody: (status, headers) => {
      answer(status, headers, new Uint8Array(0));
      return { write: () => true, onDrain: () => {}, onClose: () => {}, end: () => {} };
    },
  };
}

async function* bodyOf(body: PostRequest["body"]): AsyncGenerator<Uint8Array> {
  if (body === undefined) return;
  if (body instanceof Uint8Array) yield body.slice();
  else yield* body;
}

function hostOf(url: string): string {
  return new URL(url).host;
}
