/**
 * Many watches on one gRPC stream, which is opened again when it breaks.
 *
 * Every registration of a watch gets an id of its own, never used again on this client, so that late answers to an
 * earlier one are recognised. A refused registration comes back without an id; servers answer registrations in the
 * order they were asked for, which tells whose it is.
 *
 * Source: etcd client/v3/watch.go; server/etcdserver/api/v3rpc/watch.go.
 */

import { EtcdError, errorSpecs, watch } from "@etcd-ts/api";
import {
  createResponseHeader,
  type ResponseHeader,
  type WatchRequestInit,
  type WatchResponse as WireWatchResponse,
} from "@etcd-ts/api/etcdserverpb";
import type { MetadataEntries, Status } from "@etcd-ts/grpc";
import type { Caller } from "./caller.js";
import { CompactedError, canceledError, errorOfText } from "./errors.js";
import { isHalt } from "./retry.js";
import type { ConnectionCall } from "./transport.js";
import type { Watcher, WatcherHost } from "./watcher.js";

/** Pause before a broken stream is opened again: doubled each time, up to the maximum, until a watch is registered. */
const backoffMs = 10;
const backoffMaxMs = 1_000;

export interface WatchStreamOptions {
  readonly requireLeader: boolean;
  readonly metadata?: MetadataEntries | undefined;
}

export class WatchStream implements WatcherHost {
  readonly #caller: Caller;
  readonly #options: WatchStreamOptions;
  /** All that have not ended, in the order they were added, with the id of their registration on this stream. */
  readonly #watchers: Map<Watcher, bigint | undefined> = new Map();
  readonly #byId: Map<bigint, Watcher> = new Map();
  /** Ids of registrations that the server has not answered, in the order sent. */
  #unanswered: bigint[] = [];
  #nextId = 1n;
  #call: ConnectionCall | undefined;
  #opening = false;
  #failures = 0;

  constructor(caller: Caller, options: WatchStreamOptions) {
    this.#caller = caller;
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#watchers.size === 0;
  }

  add(watcher: Watcher): void {
    this.#watchers.set(watcher, undefined);
    if (this.#call !== undefined) this.#register(watcher);
    else this.#open();
  }

  remove(watcher: Watcher): void {
    this.#unregister(watcher);
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    const call = this.#call;
    this.#forgetCall();
    call?.cancel();
  }

  park(watcher: Watcher): void {
    this.#unregister(watcher);
  }

  resume(watcher: Watcher): void {
    if (this.#call !== undefined) this.#register(watcher);
  }

  /** Asks the server to tell all watches of the stream how far they are, once none of them is behind. */
  requestProgress(): void {
    this.#send({ requestUnion: { kind: "progressRequest", value: {} } });
  }

  endAll(error: unknown): void {
    for (const watcher of [...this.#watchers.keys()]) watcher.end(error);
  }

  #open(): void {
    if (this.#opening) return;
    this.#opening = true;
    let current: ConnectionCall | undefined;
    let over = false;
    const { requireLeader, metadata } = this.#options;
    this.#caller
      .openStream(
        watch.watch,
        {
          onMessage: (message) => {
            if (current !== undefined && current === this.#call) this.#onMessage(message);
          },
          onEnd: (status) => {
            over = true;
            if (current !== undefined && current === this.#call) this.#onEnd(status);
            else if (current === undefined) this.#failed(new EtcdError(status));
          },
        },
        { requireLeader, metadata },
      )
      .then(
        (call) => {
          current = call;
          if (over) return;
          this.#opening = false;
          if (this.#watchers.size === 0) return call.cancel();
          this.#call = call;
          for (const watcher of this.#watchers.keys()) if (!watcher.parked) this.#register(watcher);
        },
        (error: unknown) => this.#failed(error),
      );
  }

  #register(watcher: Watcher): void {
    const id = this.#nextId++;
    this.#watchers.set(watcher, id);
    this.#byId.set(id, watcher);
    this.#unanswered.push(id);
    this.#send({ requestUnion: { kind: "createRequest", value: watcher.createRequest(id) } });
  }

  #unregister(watcher: Watcher): void {
    const id = this.#watchers.get(watcher);
    if (id === undefined) return;
    this.#watchers.set(watcher, undefined);
    this.#byId.delete(id);
    this.#send({ requestUnion: { kind: "cancelRequest", value: { watchId: id } } });
  }

  #send(request: WatchRequestInit): void {
    const codec = watch.watch.request;
    this.#call?.send(codec.size(request), (target, offset) => void codec.encode(request, target, offset));
  }

  #onMessage(bytes: Uint8Array): void {
    const response = watch.watch.response.decode(bytes.slice());
    if (response.created) this.#onCreated(response);
    else if (response.canceled) this.#onCanceled(this.#byId.get(response.watchId), response);
    else if (response.watchId === -1n) for (const watcher of this.#byId.values()) deliver(watcher, response);
    else deliver(this.#byId.get(response.watchId), response);
  }

  #onCreated(response: WireWatchResponse): void {
    const id = this.#unanswered.shift();
    const watcher = id === undefined ? undefined : this.#byId.get(id);
    if (response.canceled || response.watchId !== id) return this.#onCanceled(watcher, response);
    this.#failures = 0;
    watcher?.registered(response.header ?? createResponseHeader());
  }

  #onCanceled(watcher: Watcher | undefined, response: WireWatchResponse): void {
    if (watcher === undefined) return;
    const { compactRevision, cancelReason, header } = response;
    if (compactRevision !== 0) return this.#ended(watcher, new CompactedError(compactRevision), header);
    const error = errorOfText(cancelReason === "" ? errorSpecs.watchCanceled.message : cancelReason);
    // The token belongs to the stream: a new one needs a new stream.
    if (this.#caller.curedByToken(error)) return this.#restart(error);
    this.#ended(watcher, error, header);
  }

  /** The server knows no such watch any more. */
  #ended(watcher: Watcher, error: Error, header: ResponseHeader | undefined): void {
    const id = this.#watchers.get(watcher);
    if (id !== undefined) this.#byId.delete(id);
    this.#watchers.set(watcher, undefined);
    watcher.end(error, header);
  }

  #restart(error: EtcdError): void {
    const call = this.#call;
    this.#forgetCall();
    call?.cancel();
    this.#failed(error);
  }

  #onEnd(status: Status): void {
    this.#forgetCall();
    this.#failed(new EtcdError(status));
  }

  #forgetCall(): void {
    this.#call = undefined;
    this.#byId.clear();
    this.#unanswered = [];
    for (const watcher of this.#watchers.keys()) this.#watchers.set(watcher, undefined);
  }

  /** The stream is not open: opens it again, or gives up. */
  #failed(thrown: unknown): void {
    this.#opening = false;
    if (this.#watchers.size === 0) return;
    const error = thrown instanceof EtcdError ? thrown : new EtcdError({ code: 13, message: String(thrown) }, thrown);
    if (this.#caller.closing.aborted) return this.endAll(canceledError(new Error("the client is closed")));
    const cured = this.#caller.curedByToken(error);
    if (!cured && isHalt(error)) return this.endAll(error);
    this.#opening = true;
    const delayMs = Math.min(backoffMaxMs, backoffMs * 2 ** this.#failures++) * (0.5 + this.#caller.clock.random() / 2);
    this.#caller
      .sleep(delayMs, undefined)
      .then(() => (cured ? this.#caller.authenticate(undefined) : undefined))
      .then(
        () => {
          this.#opening = false;
          if (this.#caller.closing.aborted) this.endAll(canceledError(new Error("the client is closed")));
          else if (this.#watchers.size > 0) this.#open();
        },
        (cause: unknown) => this.#failed(cause),
      );
  }
}

function deliver(watcher: Watcher | undefined, response: WireWatchResponse): void {
  watcher?.received(response, response.header ?? createResponseHeader());
}
