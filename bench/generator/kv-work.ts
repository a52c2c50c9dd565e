/** The unary key-value loads: put, get, range of many keys, compare-and-swap, and a mix. */

import type { Work } from "./closed-loop.js";
import type { KeySpace } from "./key-space.js";
import { MessageReader, MessageWriter } from "./message.js";
import type { Region } from "./region.js";
import { headerRevision } from "./response-header.js";
import type { Revisions } from "./revisions.js";

export const KvPath = {
  range: "/etcdserverpb.KV/Range",
  put: "/etcdserverpb.KV/Put",
  txn: "/etcdserverpb.KV/Txn",
} as const;

/** Steps of one load, shared by its callers: each takes the next. */
export class Steps {
  #next: number;
  readonly #end: number;

  constructor(options: { first?: number; end?: number } = {}) {
    this.#next = options.first ?? 0;
    this.#end = options.end ?? Number.POSITIVE_INFINITY;
  }

  /** The next step, or −1 at the end. */
  take(): number {
    return this.#next < this.#end ? this.#next++ : -1;
  }
}

export interface KvLoad {
  readonly keys: KeySpace;
  readonly revisions: Revisions;
  readonly steps: Steps;
  /** That puts attach their keys to; none when absent. */
  readonly lease?: number;
}

const outer = new MessageReader();
const inner = new MessageReader();

export class PutWork implements Work {
  readonly #load: KvLoad;
  readonly #message: Uint8Array;
  readonly #keyOffset: number;
  readonly #valueOffset: number;
  readonly #request: { path: string; message: Uint8Array; size: number };
  #floor = 0;
  #index = 0;

  constructor(load: KvLoad) {
    this.#load = load;
    const writer = new MessageWriter(load.keys.keySize + load.keys.valueSize + 64);
    writer.span(1, new Uint8Array(load.keys.keySize));
    this.#keyOffset = writer.size - load.keys.keySize;
    writer.span(2, new Uint8Array(load.keys.valueSize));
    this.#valueOffset = writer.size - load.keys.valueSize;
    writer.uint(3, load.lease ?? 0);
    this.#message = writer.finish();
    load.keys.writeKey(this.#message, this.#keyOffset, 0);
    load.keys.writeValue(this.#message, this.#valueOffset, 0, 0);
    this.#request = { path: KvPath.put, message: this.#message, size: this.#message.length };
  }

  prepare(): ReturnType<Work["prepare"]> {
    const { keys, revisions, steps } = this.#load;
    const step = steps.take();
    if (step < 0) {
      return undefined;
    }
    this.#floor = revisions.newest;
    this.#index = keys.shuffled(step);
    keys.patchKey(this.#message, this.#keyOffset, this.#index);
    keys.patchValue(this.#message, this.#valueOffset, this.#index, step);
    return this.#request;
  }

  check(region: Region, start: number, end: number): void {
    const { keys, revisions } = this.#load;
    const revision = writeRevision(region, start, end, "put");
    revisions.claim(revision, this.#floor);
    keys.acknowledged[this.#index] = Math.max(revision, keys.acknowledged[this.#index] ?? 0);
  }
}

/** The header revision of an answer that holds nothing else. */
function writeRevision(region: Region, start: number, end: number, what: string): number {
  outer.reset(region.bytes, start, end);
  let revision = 0;
  while (outer.next()) {
    if (outer.field !== 1) {
      throw new Error(`the answer to a ${what} has field ${outer.field}`);
    }
    revision = headerRevision(region, outer.spanStart, outer.spanEnd);
  }
  return revision;
}

/** Gets one key, or ranges over `rangeSize` consecutive keys. All of them must exist. */
export class RangeWork implements Work {
  readonly #load: KvLoad;
  readonly #rangeSize: number;
  readonly #message: Uint8Array;
  readonly #keyOffset: number;
  readonly #endOffset: number;
  readonly #request: { path: string; message: Uint8Array; size: number };
  #floor = 0;
  #index = 0;
  #acknowledged = 0;

  constructor(load: KvLoad, options: { serializable?: boolean; rangeSize?: number } = {}) {
    this.#load = load;
    this.#rangeSize = options.rangeSize ?? 1;
    const writer = new MessageWriter(2 * load.keys.keySize + 64);
    writer.span(1, new Uint8Array(load.keys.keySize));
    this.#keyOffset = writer.size - load.keys.keySize;
    if (this.#rangeSize > 1) {
      writer.span(2, new Uint8Array(load.keys.keySize));
    }
    // Of the key itself when there is no end.
    this.#endOffset = writer.size - load.keys.keySize;
    writer.uint(7, options.serializable === true ? 1 : 0);
    this.#message = writer.finish();
    load.keys.writeKey(this.#message, this.#endOffset, 0);
    load.keys.writeKey(this.#message, this.#keyOffset, 0);
    this.#request = { path: KvPath.range, message: this.#message, size: this.#message.length };
  }

  prepare(): ReturnType<Work["prepare"]> {
    const { keys, revisions, steps } = this.#load;
    const step = steps.take();
    if (step < 0) {
      return undefined;
    }
    this.#floor = revisions.newest;
    const shuffled = keys.shuffled(step);
    this.#index = shuffled - (shuffled % this.#rangeSize);
    this.#acknowledged = keys.acknowledged[this.#index] ?? 0;
    keys.patchKey(this.#message, this.#keyOffset, this.#index);
    if (this.#rangeSize > 1) {
      keys.patchKey(this.#message, this.#endOffset, this.#index + this.#rangeSize);
    }
    return this.#request;
  }

  check(region: Region, start: number, end: number): void {
    let count = 0;
    let found = 0;
    outer.reset(region.bytes, start, end);
    while (outer.next()) {
      if (outer.field === 1) {
        this.#load.revisions.observe(headerRevision(region, outer.spanStart, outer.spanEnd), this.#floor);
      } else if (outer.field === 2) {
        this.#checkKeyValue(region, this.#index + found, outer.spanStart, outer.spanEnd);
        found++;
      } else if (outer.field === 4) {
        count = outer.value;
      } else {
        throw new Error(`the answer to a range has field ${outer.field}`);
      }
    }
    if (found !== this.#rangeSize || count !== this.#rangeSize) {
      throw new Error(`a range of ${this.#rangeSize} keys found ${found} and counted ${count}`);
    }
  }

  #checkKeyValue(region: Region, index: number, start: number, end: number): void {
    const { keys } = this.#load;
    let isKey = false;
    let isValue = false;
    let modRevision = 0;
    inner.reset(region.bytes, start, end);
    while (inner.next()) {
      if (inner.field === 1) {
        isKey = keys.isKey(index, region, inner.spanStart, inner.spanEnd);
      } else if (inner.field === 3) {
        modRevision = inner.value;
      } else if (inner.field === 5) {
        isValue = keys.isValueOf(index, region, inner.spanStart, inner.spanEnd);
      }
    }
    if (!isKey || !isValue) {
      throw new Error(`key ${index} was answered with ${isKey ? "a wrong value" : "another key"}`);
    }
    if (modRevision === 0 || (this.#rangeSize === 1 && modRevision < this.#acknowledged)) {
      throw new Error(`key ${index} was read at ${modRevision} after ${this.#acknowledged} had been acknowledged`);
    }
  }
}

/**
 * Kubernetes' update: if the key's mod revision is the one last seen, put, else get. Each caller has its own keys, so
 * every comparison must hold.
 */
export class CompareAndSwapWork implements Work {
  readonly #load: KvLoad;
  readonly #first: number;
  readonly #count: number;
  readonly #key: Uint8Array;
  readonly #value: Uint8Array;
  readonly #part: MessageWriter;
  readonly #operation: MessageWriter;
  readonly #writer: MessageWriter;
  readonly #request: { path: string; message: Uint8Array; size: number };
  #turn = 0;
  #floor = 0;

  /** The caller owns the keys `[first, first + count)`, which exist and whose `acknowledged` is right. */
  constructor(load: KvLoad, owned: { first: number; count: number }) {
    this.#load = load;
    this.#first = owned.first;
    this.#count = owned.count;
    this.#key = new Uint8Array(load.keys.keySize);
    this.#value = new Uint8Array(load.keys.valueSize);
    const capacity = 3 * load.keys.keySize + load.keys.valueSize + 128;
    this.#part = new MessageWriter(capacity);
    this.#operation = new MessageWriter(capacity);
    this.#writer = new MessageWriter(capacity);
    this.#request = { path: KvPath.txn, message: this.#writer.bytes, size: 0 };
  }

  prepare(): ReturnType<Work["prepare"]> {
    const { keys, revisions, steps } = this.#load;
    const step = steps.take();
    if (step < 0) {
      return undefined;
    }
    this.#floor = revisions.newest;
    this.#turn = (this.#turn + 1) % this.#count;
    const index = this.#first + this.#turn;
    keys.writeKey(this.#key, 0, index);
    keys.writeValue(this.#value, 0, index, step);
    const part = this.#part;
    // result EQUAL is 0 and left out; target MOD is 2.
    part
      .reset()
      .uint(2, 2)
      .span(3, this.#key)
      .uint(6, keys.acknowledged[index] ?? 0);
    this.#writer.reset().span(1, part.bytes, part.size);
    part.reset().span(1, this.#key).span(2, this.#value);
    this.#operation.reset().span(2, part.bytes, part.size);
    this.#writer.span(2, this.#operation.bytes, this.#operation.size);
    part.reset().span(1, this.#key);
    this.#operation.reset().span(1, part.bytes, part.size);
    this.#writer.span(3, this.#operation.bytes, this.#operation.size);
    this.#request.size = this.#writer.size;
    return this.#request;
  }

  check(region: Region, start: number, end: number): void {
    const { keys, revisions } = this.#load;
    let revision = 0;
    let succeeded = false;
    let responses = 0;
    outer.reset(region.bytes, start, end);
    while (outer.next()) {
      if (outer.field === 1) {
        revision = headerRevision(region, outer.spanStart, outer.spanEnd);
      } else if (outer.field === 2) {
        succeeded = outer.value === 1;
      } else if (outer.field === 3) {
        responses++;
        checkPutResponse(region, outer.spanStart, outer.spanEnd, revision);
      }
    }
    if (!succeeded || responses !== 1) {
      throw new Error(`a compare-and-swap ended with succeeded=${succeeded} and ${responses} responses`);
    }
    revisions.claim(revision, this.#floor);
    keys.acknowledged[this.#first + this.#turn] = revision;
  }
}

/** Checks a ResponseOp that answers a put made at `revision`. */
function checkPutResponse(region: Region, start: number, end: number, revision: number): void {
  expectField(inner.reset(region.bytes, start, end), 2);
  expectField(inner.reset(region.bytes, inner.spanStart, inner.spanEnd), 1);
  if (headerRevision(region, inner.spanStart, inner.spanEnd) !== revision) {
    throw new Error("a put inside a transaction was answered with another revision");
  }
}

function expectField(reader: MessageReader, field: number): void {
  if (!reader.next() || reader.field !== field) {
    throw new Error(`a transaction's response has no field ${field}`);
  }
}

/** One put for every `readsPerWrite` gets. */
export class MixedWork implements Work {
  readonly #put: Work;
  readonly #get: Work;
  readonly #readsPerWrite: number;
  #turn: number;
  #current: Work;

  constructor(works: { put: Work; get: Work; readsPerWrite: number; caller: number }) {
    this.#put = works.put;
    this.#get = works.get;
    this.#readsPerWrite = works.readsPerWrite;
    this.#turn = works.caller;
    this.#current = works.get;
  }

  prepare(): ReturnType<Work["prepare"]> {
    this.#turn = (this.#turn + 1) % (this.#readsPerWrite + 1);
    this.#current = this.#turn === 0 ? this.#put : this.#get;
    return this.#current.prepare();
  }

  check(region: Region, start: number, end: number): void {
    this.#current.check(region, start, end);
  }
}
