/** Keys and values. Source: etcd client/v3/kv.go. */

import { kv, nextKey } from "@etcd-ts/api";
import type {
  CompactionResponse,
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  TxnResponse,
} from "@etcd-ts/api/etcdserverpb";
import type { KeyValue } from "@etcd-ts/api/mvccpb";
import type { Answer, Caller, CallOptions } from "./caller.js";
import { type Bytes, toText, wireRange } from "./keys.js";
import {
  type DeleteOptions,
  deleteRequest,
  type GetOptions,
  type PutOptions,
  putRequest,
  rangeRequest,
  type Txn,
  txnRequest,
} from "./ops.js";

const repeatable = { repeatable: true };
/** Whether it happened may be unknown when it fails: it is never sent twice. */
const once = { repeatable: false };

/** Pairs in one answer when a range is read in pages. */
const pageLimit = 1000;

export class KvClient {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Reads one key, or with a range option many, in one answer. */
  get(key: Bytes, options: GetOptions & CallOptions = {}): Promise<Answer<RangeResponse>> {
    return this.#caller.unary(kv.range, rangeRequest(key, options), repeatable, options);
  }

  /** The value of a key as text; undefined when there is no such key. */
  async getText(
    key: Bytes,
    options: Pick<GetOptions, "revision" | "serializable"> & CallOptions = {},
  ): Promise<string | undefined> {
    const { kvs } = await this.get(key, options);
    return kvs[0] === undefined ? undefined : toText(kvs[0].value);
  }

  /**
   * Reads a range of any size, page by page and all at the revision of the first page. Pairs come by ascending key;
   * `limit` counts all pages, `sort` and `countOnly` do not go with it.
   */
  async *pages(
    key: Bytes,
    options: Omit<GetOptions, "sort" | "countOnly"> & CallOptions & { readonly pageLimit?: number } = {},
  ): AsyncGenerator<readonly KeyValue[], void, undefined> {
    const { prefix: _prefix, fromKey: _fromKey, ...rest } = options;
    const range = wireRange(key, options);
    let next = range.key;
    let revision = options.revision ?? 0;
    let remaining = options.limit === undefined || options.limit === 0 ? Number.POSITIVE_INFINITY : options.limit;
    while (remaining > 0) {
      const limit = Math.min(options.pageLimit ?? pageLimit, remaining);
      const page = await this.get(next, { ...rest, rangeEnd: range.rangeEnd, limit, revision });
      if (revision === 0) revision = page.header.revision;
      remaining -= page.kvs.length;
      if (page.kvs.length > 0) yield page.kvs;
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return;
      next = nextKey(last.key);
    }
  }

  /**
   * Reads a range as one stream, chunk by chunk; needs etcd 3.7. The last answer has header, count and more. It is not
   * made again when it breaks.
   */
  async *stream(key: Bytes, options: GetOptions & CallOptions = {}): AsyncGenerator<RangeResponse, void, undefined> {
    for await (const { rangeResponse } of this.#caller.serverStream(
      kv.rangeStream,
      rangeRequest(key, options),
      options,
    )) {
      if (rangeResponse !== undefined) yield rangeResponse;
    }
  }

  put(key: Bytes, value: Bytes, options: PutOptions & CallOptions = {}): Promise<Answer<PutResponse>> {
    return this.#caller.unary(kv.put, putRequest(key, value, options), once, options);
  }

  /** Deletes one key, or with a range option many. */
  delete(key: Bytes, options: DeleteOptions & CallOptions = {}): Promise<Answer<DeleteRangeResponse>> {
    return this.#caller.unary(kv.deleteRange, deleteRequest(key, options), once, options);
  }

  /** Compares, then does one of two lists of operations, at one revision. */
  txn(txn: Txn, options: CallOptions = {}): Promise<Answer<TxnResponse>> {
    return this.#caller.unary(kv.txn, txnRequest(txn), once, options);
  }

  /** Forgets all revisions below `revision`. `physical`: answers when their space is free again. */
  compact(
    revision: number,
    options: CallOptions & { readonly physical?: boolean } = {},
  ): Promise<Answer<CompactionResponse>> {
    return this.#caller.unary(kv.compact, { revision, physical: options.physical }, once, options);
  }
}
