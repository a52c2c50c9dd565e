/**
 * What a Watch call's requests mean: creates with their refusals, cancels, progress requests. The answers are queued on
 * the stream; the rpc layer decodes requests, hands them in and moves bytes.
 *
 * Source: server/etcdserver/api/v3rpc/watch.go.
 */

import { compareBytes, errorSpecs, latin1FromBytes, type Reason } from "@etcd-ts/api";
import type { WatchCreateRequest, WatchRequest } from "@etcd-ts/api/etcdserverpb";
import { streamWatchersMax } from "./limits.js";
import type { WatchHub } from "./watch-hub.js";
import { encodeReply } from "./watch-message.js";
import type { WatchStream } from "./watch-stream.js";
import type { WatchSpec } from "./watcher.js";

export interface WatchSessionOptions {
  /**
   * Why the caller may not read [key, rangeEnd), undefined if it may. `rangeEnd` is the one of the request: empty for
   * one key, a single 0 byte for everything from `key` on.
   */
  readonly authorize: (key: Uint8Array, rangeEnd: Uint8Array) => Reason | undefined;
  readonly currentRevision: () => number;
  /** How many watchers the stream may have; default in limits.ts. */
  readonly watchersMax?: number;
}

const filterNoPut = 0;
const filterNoDelete = 1;
/** The id in a reply that refuses a create. */
const noWatchId = -1n;

const refusals = {
  emptyRange: "mvcc: watcher range is empty",
  duplicateId: "mvcc: duplicate watch ID provided on the WatchStream",
} as const;

export class WatchSession {
  readonly #hub: WatchHub;
  readonly #stream: WatchStream;
  readonly #authorize: (key: Uint8Array, rangeEnd: Uint8Array) => Reason | undefined;
  readonly #currentRevision: () => number;
  readonly #watchersMax: number;
  /** The next automatic id. */
  #nextId = 0n;

  constructor(hub: WatchHub, stream: WatchStream, options: WatchSessionOptions) {
    this.#hub = hub;
    this.#stream = stream;
    this.#authorize = options.authorize;
    this.#currentRevision = options.currentRevision;
    this.#watchersMax = options.watchersMax ?? streamWatchersMax;
  }

  /**
   * Carries out one request; `request` and its bytes are not kept. One without content is ignored, and so are all once
   * the stream is closed.
   */
  handle(request: WatchRequest): void {
    if (this.#stream.isClosed) return;
    switch (request.requestUnion?.kind) {
      case "createRequest":
        this.#create(request.requestUnion.value);
        break;
      case "cancelRequest":
        this.#cancel(request.requestUnion.value.watchId);
        break;
      case "progressRequest":
        this.#hub.requestProgress(this.#stream);
        break;
      case undefined:
        break;
    }
  }

  #create(request: WatchCreateRequest): void {
    const key = request.key.length === 0 ? new Uint8Array(1) : request.key;
    const refusal = this.#refusal(key, request);
    const revision = this.#currentRevision();
    if (refusal !== undefined) {
      const body = encodeReply({ id: noWatchId, created: true, canceled: true, cancelReason: refusal });
      this.#stream.pushReply(revision, body);
      return;
    }
    const id = request.watchId === 0n ? this.#takeId() : request.watchId;
    // The reply precedes the watcher's first event, because it is queued first.
    this.#stream.pushReply(revision, encodeReply({ id, created: true }));
    this.#hub.watch(this.#stream, specOf(key, request, id));
  }

  /** An id that is not watched is passed over without a reply. */
  #cancel(watchId: bigint): void {
    const watcher = this.#stream.watcher(watchId);
    if (watcher === undefined) return;
    this.#hub.cancel(watcher);
    this.#stream.pushReply(this.#currentRevision(), encodeReply({ id: watchId, canceled: true }));
  }

  /** The first thing that speaks against a create, in etcd's order. */
  #refusal(key: Uint8Array, request: WatchCreateRequest): string | undefined {
    const { rangeEnd } = request;
    if (request.startRevision < 0) return errorSpecs.compacted.message;
    const denied = this.#authorize(key, rangeEnd);
    if (denied !== undefined) return deniedText(denied);
    if (rangeEnd.length > 0 && !isUnbounded(rangeEnd) && compareBytes(key, rangeEnd) >= 0) return refusals.emptyRange;
    if (request.watchId !== 0n && this.#stream.watcher(request.watchId) !== undefined) return refusals.duplicateId;
    if (this.#stream.watcherCount >= this.#watchersMax) return errorSpecs.requestTooManyRequests.message;
    return undefined;
  }

  #takeId(): bigint {
    while (this.#stream.watcher(this.#nextId) !== undefined) this.#nextId++;
    return this.#nextId++;
  }
}

function specOf(key: Uint8Array, request: WatchCreateRequest, id: bigint): WatchSpec {
  const { rangeEnd, filters } = request;
  return {
    id,
    key: latin1FromBytes(key),
    kind: rangeEnd.length === 0 ? "key" : "range",
    end: rangeEnd.length === 0 || isUnbounded(rangeEnd) ? undefined : latin1FromBytes(rangeEnd),
    startRevision: request.startRevision,
    noPut: filters.includes(filterNoPut),
    noDelete: filters.includes(filterNoDelete),
    prevKv: request.prevKv,
    fragment: request.fragment,
    progressNotify: request.progressNotify,
  };
}

/**
 * What a refused client reads: the printed form of a gRPC error. Whatever is not a matter of identity is "permission
 * denied". Clients look for these texts, so the names of codes are Go's.
 */
function deniedText(reason: Reason): string {
  const text = (code: string, named: Reason): string => `rpc error: code = ${code} desc = ${errorSpecs[named].message}`;
  if (reason === "invalidAuthToken") return text("Unauthenticated", reason);
  if (reason === "authOldRevision" || reason === "userEmpty") return text("InvalidArgument", reason);
  return text("PermissionDenied", "permissionDenied");
}

function isUnbounded(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}
