/** Watches. Source: etcd client/v3/watch.go. */

import { WatchCreateRequest_FilterType } from "@etcd-ts/api/etcdserverpb";
import type { MetadataEntries } from "@etcd-ts/grpc";
import type { Caller } from "./caller.js";
import { canceledError } from "./errors.js";
import { type Bytes, type RangeOptions, wireRange } from "./keys.js";
import type { CancelSignal } from "./transport.js";
import { WatchStream } from "./watch-stream.js";
import { Watcher } from "./watcher.js";

export interface WatchOptions extends RangeOptions {
  /** The first revision whose events are wanted; 0 = from now on. */
  readonly startRevision?: number | undefined;
  /** Events carry the pair as it was before. */
  readonly prevKv?: boolean | undefined;
  /** Now and then an answer without events tells how far the watch is, when nothing happens. */
  readonly progressNotify?: boolean | undefined;
  /** Leaves out events. */
  readonly filter?: "noPut" | "noDelete" | undefined;
  /**
   * The server ends the stream when its member has no leader, and the watch goes on at another one. Default true: a
   * watch on a cut-off member would otherwise be silent.
   */
  readonly requireLeader?: boolean | undefined;
  /** Ends the watch: the loop throws CANCELLED. Leaving the loop ends it too. */
  readonly signal?: CancelSignal | undefined;
  /** Further metadata; watches with different metadata are on different streams. */
  readonly metadata?: MetadataEntries | undefined;
}

export class WatchClient {
  readonly #caller: Caller;
  readonly #streams: Map<string, WatchStream> = new Map();

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /**
   * Watches a key, or with a range option many. Iterating throws `CompactedError` when revisions that are still wanted
   * are gone, and the server's error when it refuses; anything else is overcome.
   */
  watch(key: Bytes, options: WatchOptions = {}): Watcher {
    const { startRevision, prevKv, progressNotify, filter, signal } = options;
    const filters =
      filter === undefined
        ? []
        : [filter === "noPut" ? WatchCreateRequest_FilterType.NOPUT : WatchCreateRequest_FilterType.NODELETE];
    const stream = this.#stream(options);
    const request = { ...wireRange(key, options), startRevision, prevKv, progressNotify, filters };
    const onAbort = (): void => watcher.end(canceledError());
    const watcher = new Watcher(request, {
      park: (parked) => stream.park(parked),
      resume: (resumed) => stream.resume(resumed),
      remove: (removed) => {
        signal?.removeEventListener("abort", onAbort);
        stream.remove(removed);
        this.#forgetEmpty();
      },
    });
    if (signal?.aborted === true || this.#caller.closing.aborted) {
      watcher.end(canceledError());
      return watcher;
    }
    signal?.addEventListener("abort", onAbort);
    stream.add(watcher);
    return watcher;
  }

  /**
   * Asks for an answer without events for all watches, to know how far they are. Nothing comes while one of the watches
   * on the same stream is behind.
   */
  requestProgress(): void {
    for (const stream of this.#streams.values()) stream.requestProgress();
  }

  /** Ends all watches. */
  close(): void {
    for (const stream of this.#streams.values()) stream.endAll(canceledError(new Error("the client is closed")));
  }

  /** Metadata such as tokens come and go: streams that carry nothing are not kept. */
  #forgetEmpty(): void {
    for (const [name, stream] of this.#streams) if (stream.isEmpty) this.#streams.delete(name);
  }

  #stream({ requireLeader = true, metadata }: WatchOptions): WatchStream {
    const name = JSON.stringify([requireLeader, metadata?.map(([key, value]) => [key, String(value)]) ?? []]);
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new WatchStream(this.#caller, { requireLeader, metadata });
      this.#streams.set(name, stream);
    }
    return stream;
  }
}
