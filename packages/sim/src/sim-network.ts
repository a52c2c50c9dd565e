/**
 * The network between simulated machines: requests and byte streams as the members' HTTP transport sees them. A link
 * from one machine to another can be slow or cut, each direction by itself.
 *
 * Connections carry bytes in order and without gaps, as TCP does. What meets a cut link waits: it arrives when the link
 * is healed, unless the connection has ended by then. Requests each have a connection of their own, so that they may
 * overtake each other.
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
import { SimRandom } from "./random.js";
import type { World } from "./world.js";

export interface NetworkFaults {
  /** One-way delay, milliseconds, on average. */
  readonly delayMs: number;
  /** Chance that a connection breaks at a piece of data. */
  readonly breakChance: number;
  /** Chance that a piece of data is held up for up to `holdMs`, with all that follows on its connection. */
  readonly holdChance: number;
  readonly holdMs: number;
}

export const quietNetwork: NetworkFaults = { delayMs: 1, breakChance: 0, holdChance: 0, holdMs: 0 };

interface Serving {
  readonly incarnation: Incarnation;
  readonly handler: (request: ServedRequest) => void;
}

/** TCP's patience with a peer that does not answer. */
const giveUpMs = 15_000;

/** All machines' connections. Machines are known by the host part of their URLs. */
export class SimNetworkFabric {
  readonly world: World;
  readonly #random: SimRandom;
  /**
   * Nothing depends on probes of a peer's time: they draw apart, so that the rest of a run is what it is without them.
   */
  readonly #probes = new SimRandom(0, "probes");
  readonly #serving = new Map<string, Serving>();
  /** Links by `from>to`. */
  readonly #cut = new Set<string>();
  /** What waits for a cut link, in order. */
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #hosts = new Map<string, { readonly host: string; readonly target: string }>();
  faults: NetworkFaults = quietNetwork;

  constructor(world: World, random: SimRandom) {
    this.world = world;
    this.#random = random;
  }

  /** Stops what goes from one machine to the other; the way back stays as it is. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  /** Lets through again what goes from one machine to the other. */
  join(from: string, to: string): void {
    const link = `${from}>${to}`;
    if (!this.#cut.delete(link)) return;
    const waiting = this.#waiting.get(link) ?? [];
    this.#waiting.delete(link);
    for (const resend of waiting) resend();
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from}>${to}`);
  }

  heal(): void {
    this.#cut.clear();
    const waiting = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    for (const resend of waiting) resend();
  }

  /** The network of one incarnation on a machine. */
  connect(host: string, incarnation: Incarnation): Network {
    return {
      post: (request) => this.#post(host, incarnation, request),
      openStream: (request) => this.#openStream(host, incarnation, request),
      serve: (url, handler): Promise<Listener> => {
        const served = this.#address(url).host;
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

  /** Delivers over a link, never before `notBefore`; returns when that will be if the link is not cut. */
  deliver(from: string, to: string, notBefore: number, action: () => void, random: SimRandom = this.#random): number {
    if (this.isCut(from, to)) {
      const link = `${from}>${to}`;
      const waiting = this.#waiting.get(link) ?? [];
      if (waiting.length === 0) this.#waiting.set(link, waiting);
      waiting.push(() => this.deliver(from, to, notBefore, action, random));
      return notBefore;
    }
    const { delayMs, holdChance, holdMs } = this.faults;
    const hold = holdChance > 0 && random.chance(holdChance) ? random.fraction() * holdMs : 0;
    const arrivesAt = Math.max(notBefore, this.world.now + 0.05 + random.exponential(delayMs) + hold);
    this.world.schedule(arrivesAt - this.world.now, action);
    return arrivesAt;
  }

  breaks(random: SimRandom = this.#random): boolean {
    const { breakChance } = this.faults;
    return breakChance > 0 && random.chance(breakChance);
  }

  #address(url: string): { readonly host: string; readonly target: string } {
    let known = this.#hosts.get(url);
    if (known === undefined) {
      const { host, pathname, search } = new URL(url);
      known = { host, target: pathname + search };
      this.#hosts.set(url, known);
    }
    return known;
  }

  #serverAt(host: string): Serving | undefined {
    const serving = this.#serving.get(host);
    return serving?.incarnation.alive === true ? serving : undefined;
  }

  #post(from: string, caller: Incarnation, request: PostRequest): Promise<PostResponse> {
    return new Promise((resolve, reject) => {
      const { host: to, target } = this.#address(request.url);
      const exchange = new Exchange(caller, resolve, reject);
      const timeoutMs = request.timeoutMs > 0 ? request.timeoutMs : giveUpMs;
      exchange.timer = caller.schedule(timeoutMs, () => exchange.fail("timeout"));
      const random = target === "/raft/probing" ? this.#probes : this.#random;
      const answer = (action: () => void): void => void this.deliver(to, from, 0, action, random);
      const ask = (): void => {
        const server = this.#serverAt(to);
        if (server === undefined || this.breaks(random)) return answer(() => exchange.fail("connection refused"));
        server.incarnation.onDeath(() => answer(() => exchange.fail("connection reset")));
        server.incarnation.schedule(0, () => {
          const isOpen = (): boolean => !exchange.settled && caller.alive;
          const body = (): AsyncIterable<Uint8Array> =>
            this.#bodyOf(request.body, { from, to, isOpen, reader: server.incarnation });
          server.handler(
            servedRequest(request, target, from, body, (status, headers, body) => {
              if (!server.incarnation.alive) return;
              answer(() => exchange.succeed({ status, headers, body }));
            }),
          );
        });
      };
      this.deliver(from, to, 0, ask, random);
    });
  }

  /** A request's body as it comes in, piece by piece; it breaks off when the sender goes away. */
  async *#bodyOf(
    body: PostRequest["body"],
    way: { readonly from: string; readonly to: string; readonly reader: Incarnation; isOpen(): boolean },
  ): AsyncGenerator<Uint8Array> {
    if (body === undefined) return;
    for await (const piece of body instanceof Uint8Array ? [body] : body) {
      const bytes = piece.slice();
      await new Promise<void>((resolve, reject) => {
        this.deliver(way.from, way.to, 0, () => {
          const isLost = !way.isOpen() || (!(body instanceof Uint8Array) && this.breaks());
          way.reader.schedule(0, () => (isLost ? reject(new Error("connection reset")) : resolve()));
        });
      });
      yield bytes;
    }
  }

  #openStream(
    from: string,
    caller: Incarnation,
    request: Omit<PostRequest, "body" | "responseBytesMax">,
  ): Promise<PeerStream> {
    return new Promise((resolve, reject) => {
      const { host: to, target } = this.#address(request.url);
      const exchange = new Exchange<PeerStream>(caller, resolve, reject);
      exchange.timer = caller.schedule(request.timeoutMs, () => exchange.fail("timeout"));
      this.deliver(from, to, 0, () => {
        const server = this.#serverAt(to);
        if (server === undefined || this.breaks()) {
          this.deliver(to, from, 0, () => exchange.fail("connection refused"));
          return;
        }
        server.incarnation.schedule(0, () => {
          const stream = new Stream(this, { from: to, to: from, sender: server.incarnation, receiver: caller });
          // A caller that gave up meanwhile closes what it gets.
          const answer = (status: number, headers: Readonly<Record<string, string>>): void =>
            stream.begin(() => {
              if (exchange.settled) stream.break();
              else exchange.succeed(stream.receiving(status, headers));
            });
          server.handler({
            ...servedRequest({ ...request, responseBytesMax: 0 }, target, from, noBody, (status, headers) => {
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

/** A request that waits for its answer. */
class Exchange<T> {
  readonly #caller: Incarnation;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: Error) => void;
  settled = false;
  timer: { cancel(): void } | undefined;

  constructor(caller: Incarnation, resolve: (value: T) => void, reject: (error: Error) => void) {
    this.#caller = caller;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  succeed(value: T): void {
    this.#settle(() => this.#resolve(value));
  }

  fail(why: string): void {
    this.#settle(() => this.#reject(new Error(why)));
  }

  #settle(action: () => void): void {
    if (this.settled) return;
    this.settled = true;
    this.timer?.cancel();
    this.#caller.schedule(0, action);
  }
}

/** Bytes a connection takes before its reader has read them. */
const unreadBytesMax = 1 << 20;

interface StreamEnds {
  readonly from: string;
  readonly to: string;
  readonly sender: Incarnation;
  readonly receiver: Incarnation;
}

/** One answer body that stays open: bytes in order from the serving side to the dialling one. */
class Stream {
  readonly #fabric: SimNetworkFabric;
  readonly #ends: StreamEnds;
  #arrivesAt = 0;
  readonly #underWay: (() => void)[] = [];
  /** One function for all arrivals: they are most of what happens in a run. */
  readonly #arrived = (): void => {
    const first = this.#underWay.shift();
    if (!this.#broken) first?.();
  };
  #sendingEnded = false;
  #broken = false;
  #unreadBytes = 0;
  #blocked = false;
  #onData: ((chunk: Uint8Array) => void) | undefined;
  #onEnd: ((error: Error | undefined) => void) | undefined;
  /** What arrived before the reader began. */
  #early: (() => void)[] | undefined = [];
  #onClose: (() => void) | undefined;
  #onDrain: (() => void) | undefined;

  constructor(fabric: SimNetworkFabric, ends: StreamEnds) {
    this.#fabric = fabric;
    this.#ends = ends;
    ends.sender.onDeath(() => this.break());
    ends.receiver.onDeath(() => this.break());
  }

  /** Sends the head of the answer. */
  begin(arrived: () => void): void {
    this.#deliver(() => this.#ends.receiver.run(arrived));
  }

  sending(): ServedBody {
    return {
      write: (bytes) => this.#write(bytes.slice()),
      onDrain: (callback) => {
        this.#onDrain = callback;
      },
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
        const early = this.#early ?? [];
        this.#early = undefined;
        for (const action of early) action();
      },
      close: () => this.break(),
    };
  }

  /** Ends it behind what was written. */
  end(): void {
    if (this.#sendingEnded || this.#broken || !this.#ends.sender.alive) return;
    this.#sendingEnded = true;
    this.#deliver(() => this.#arrive(() => this.#onEnd?.(undefined)));
  }

  /** What is under way is lost; both ends learn of it, each when its machine runs and the link works. */
  break(): void {
    if (this.#broken) return;
    this.#broken = true;
    const { from, to, sender, receiver } = this.#ends;
    const reset = (): void => {
      receiver.schedule(0, () => {
        if (!this.#sendingEnded) this.#onEnd?.(new Error("connection reset"));
      });
    };
    if (receiver.alive) this.#fabric.deliver(from, to, 0, reset);
    if (sender.alive) this.#fabric.deliver(to, from, 0, () => sender.schedule(0, () => this.#onClose?.()));
  }

  #write(bytes: Uint8Array): boolean {
    if (this.#sendingEnded || this.#broken || !this.#ends.sender.alive) return true;
    if (this.#fabric.breaks()) {
      this.break();
      return true;
    }
    this.#unreadBytes += bytes.length;
    this.#deliver(() => this.#arrive(() => this.#read(bytes)));
    this.#blocked = this.#unreadBytes > unreadBytesMax;
    return !this.#blocked;
  }

  #read(bytes: Uint8Array): void {
    this.#unreadBytes -= bytes.length;
    if (this.#blocked && this.#unreadBytes < unreadBytesMax / 2) {
      this.#blocked = false;
      this.#ends.sender.schedule(0, () => this.#onDrain?.());
    }
    this.#onData?.(bytes);
  }

  #deliver(action: () => void): void {
    const { from, to } = this.#ends;
    // Pieces that waited for a cut link may overtake each other: each arrival delivers the first that is under way.
    this.#underWay.push(action);
    this.#arrivesAt = this.#fabric.deliver(from, to, this.#arrivesAt, this.#arrived);
  }

  #arrive(action: () => void): void {
    this.#ends.receiver.run(() => {
      if (this.#broken) return;
      if (this.#early === undefined) action();
      else this.#early.push(action);
    });
  }
}

function servedRequest(
  request: PostRequest,
  target: string,
  from: string,
  body: () => AsyncIterable<Uint8Array>,
  answer: (status: number, headers: Readonly<Record<string, string>>, body: Uint8Array) => void,
): ServedRequest {
  return {
    method: request.method,
    target,
    headers: request.headers,
    remoteAddress: from,
    body,
    trailers: () => request.trailers?.() ?? {},
    respond: (status, headers, body) => {
      answer(status, headers, typeof body === "string" ? new TextEncoder().encode(body) : body.slice());
    },
    openBody: (status, headers) => {
      answer(status, headers, new Uint8Array(0));
      return { write: () => true, onDrain: () => {}, onClose: () => {}, end: () => {} };
    },
  };
}

async function* noBody(): AsyncGenerator<Uint8Array> {}
