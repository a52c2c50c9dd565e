/** The open streams of a connection, found by their ids without a hash and used again without allocation. */

import type { CallHandler } from "./connection.js";
import type { Region } from "./region.js";

export interface Stream {
  /** 0 when it is not open. */
  id: number;
  handler: CallHandler;
  sendWindow: number;
  sawHeaders: boolean;
  /** Where a message that arrives in parts is put together, gRPC prefix included; kept for the next one. */
  partial: Region | undefined;
  /** How much of a message is there; 0 when the next one begins. */
  partialSize: number;
}

const slotsInitial = 64;

export class StreamTable {
  /** An open stream is in the slot of its id; ids whose slot is taken are skipped, which HTTP/2 allows. */
  #slots: (Stream | undefined)[] = new Array(slotsInitial).fill(undefined);
  #openCount = 0;
  #nextId = 1;
  readonly #closed: Stream[] = [];

  /** A new stream, with the next id. */
  open(handler: CallHandler, sendWindow: number): Stream {
    if (2 * ++this.#openCount > this.#slots.length) {
      this.#grow();
    }
    while (this.#slots[this.#slotOf(this.#nextId)] !== undefined) {
      this.#nextId += 2;
    }
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = this.#closed.pop() ?? {
      id,
      handler,
      sendWindow,
      sawHeaders: false,
      partial: undefined,
      partialSize: 0,
    };
    stream.id = id;
    stream.handler = handler;
    stream.sendWindow = sendWindow;
    stream.sawHeaders = false;
    stream.partialSize = 0;
    this.#slots[this.#slotOf(id)] = stream;
    return stream;
  }

  get(id: number): Stream | undefined {
    const stream = this.#slots[this.#slotOf(id)];
    return stream !== undefined && stream.id === id ? stream : undefined;
  }

  /** The stream is forgotten, and will be another one. */
  close(stream: Stream): void {
    this.#slots[this.#slotOf(stream.id)] = undefined;
    this.#openCount--;
    stream.id = 0;
    this.#closed.push(stream);
  }

  *all(): Generator<Stream> {
    for (const stream of this.#slots) {
      if (stream !== undefined) {
        yield stream;
      }
    }
  }

  #slotOf(id: number): number {
    return (id >> 1) & (this.#slots.length - 1);
  }

  #grow(): void {
    const streams = [...this.all()];
    this.#slots = new Array(2 * this.#slots.length).fill(undefined);
    for (const stream of streams) {
      this.#slots[this.#slotOf(stream.id)] = stream;
    }
  }
}
