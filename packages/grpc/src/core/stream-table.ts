/**
 * The streams of a connection by number: which are open, which were reset by us so that the peer's frames may still be
 * on their way, and how far the numbers have come. Source: RFC 9113 §5.1.
 */
import { IdTable } from "./id-table.js";
import { streamIdMax } from "./protocol.js";
import type { Http2Stream } from "./stream.js";

/** Streams we have reset whose frames may still be on their way; older ones are forgotten. */
const remembersResetsMax = 1024;

export class StreamTable {
  /** Server: the highest stream the client has opened. Client: the highest we have opened. */
  lastId: number;
  /** Our GOAWAY's last stream; those above it are ignored. */
  acceptsUpTo: number = streamIdMax;
  readonly #open: IdTable<Http2Stream> = new IdTable();
  readonly #resetIds: Set<number> = new Set();

  constructor(lastId: number) {
    this.lastId = lastId;
  }

  get size(): number {
    return this.#open.size;
  }

  get(id: number): Http2Stream | undefined {
    return this.#open.get(id);
  }

  /** The open streams; a copy, so that they may be closed meanwhile. */
  list(): readonly Http2Stream[] {
    return this.#open.values();
  }

  add(stream: Http2Stream): void {
    this.#open.set(stream.id, stream);
  }

  remove(stream: Http2Stream): void {
    this.#open.take(stream.id);
  }

  /** Neither side has used this stream yet. */
  isIdle(id: number): boolean {
    return id % 2 === 0 || id > this.lastId;
  }

  rememberReset(id: number): void {
    if (this.#resetIds.size >= remembersResetsMax) {
      for (const oldest of this.#resetIds) {
        this.#resetIds.delete(oldest);
        break;
      }
    }
    this.#resetIds.add(id);
  }

  wasReset(id: number): boolean {
    return this.#resetIds.has(id);
  }
}
