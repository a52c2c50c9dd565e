/** Runs operations on one server and says what came back, in comparable form. */

import { Client, type ClientDuplexStream, credentials, type ServiceError } from "@grpc/grpc-js";
import { briefLeaseId, type Fields, type Operation } from "./program.js";
import { damaged, type Schema } from "./schema.js";

/** What one operation gave: a status, and on success the answers. */
export interface Outcome {
  readonly code: number;
  readonly text: string;
  readonly answers: readonly unknown[];
}

const callTimeoutMs = 20_000;
const passBytes = (bytes: Buffer): Buffer => bytes;
const watchPath = "/etcdserverpb.Watch/Watch";
const keepAlivePath = "/etcdserverpb.Lease/LeaseKeepAlive";
const streamingPaths = new Set(["/etcdserverpb.KV/RangeStream"]);
const succeeded = { code: 0, text: "" };

export class Endpoint {
  readonly #schema: Schema;
  readonly #client: Client;
  readonly #watches = new Map<number, WatchStream>();

  constructor(schema: Schema, address: string) {
    this.#schema = schema;
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
    });
  }

  close(): void {
    this.endProgram();
    this.#client.close();
  }

  endProgram(): void {
    for (const stream of this.#watches.values()) {
      stream.close();
    }
    this.#watches.clear();
  }

  /** The streams that watchers were created on. */
  get watchStreams(): ReadonlyMap<number, WatchStream> {
    return this.#watches;
  }

  /** Performs an operation whose revisions are absolute. */
  async perform(operation: Operation): Promise<Outcome> {
    switch (operation.kind) {
      case "call":
        return this.#call(operation.path, this.#schema.encodeRequest(operation.path, operation.request));
      case "raw": {
        const bytes = this.#schema.encodeRequest(operation.path, operation.request);
        const outcome = await this.#call(operation.path, damaged(bytes, operation.damage));
        // What a decoder says about malformed bytes is its own.
        return outcome.code === 13 ? { ...outcome, text: "" } : outcome;
      }
      case "keepAlive":
        return this.#keepAlive(operation.id);
      case "briefLease":
        return this.#briefLease(operation.ttl);
      case "watch":
        await (await this.#watchStream(operation.stream)).create(operation.request);
        return { ...succeeded, answers: [] };
      case "cancel":
        await this.#watches.get(operation.stream)?.cancel(operation.watchId);
        return { ...succeeded, answers: [] };
    }
  }

  #call(path: string, bytes: Buffer): Promise<Outcome> {
    return streamingPaths.has(path) ? this.#serverStream(path, bytes) : this.#unary(path, bytes);
  }

  #unary(path: string, bytes: Buffer): Promise<Outcome> {
    return new Promise((resolve) => {
      const options = { deadline: Date.now() + callTimeoutMs };
      this.#client.makeUnaryRequest(path, passBytes, passBytes, bytes, options, (error, answer) => {
        resolve(error === null ? this.#success(path, answer) : failure(error));
      });
    });
  }

  #success(path: string, answer: Buffer | undefined): Outcome {
    return { ...succeeded, answers: [this.#schema.decodeAnswer(path, answer ?? Buffer.alloc(0))] };
  }

  /** The answers are concatenated: how they are cut is the server's choice. */
  #serverStream(path: string, bytes: Buffer): Promise<Outcome> {
    return new Promise((resolve) => {
      const call = this.#client.makeServerStreamRequest(path, passBytes, passBytes, bytes, {
        deadline: Date.now() + callTimeoutMs,
      });
      const parts: Buffer[] = [];
      call.on("data", (part: Buffer) => parts.push(part));
      call.on("error", (error: ServiceError) => resolve(failure(error)));
      call.on("end", () => resolve({ ...succeeded, answers: [this.#mergeRanges(parts)] }));
    });
  }

  #mergeRanges(parts: readonly Buffer[]): Fields {
    const kvs: unknown[] = [];
    let last: Fields = {};
    for (const part of parts) {
      const answer = this.#schema.decode("RangeStreamResponse", part)["range_response"] as Fields | undefined;
      kvs.push(...((answer?.["kvs"] as unknown[] | undefined) ?? []));
      last = answer ?? {};
    }
    return { ...last, kvs };
  }

  async #briefLease(ttl: number): Promise<Outcome> {
    const grant = this.#schema.encode("LeaseGrantRequest", { ID: briefLeaseId, TTL: ttl });
    const granted = await this.#call("/etcdserverpb.Lease/LeaseGrant", grant);
    const revoke = this.#schema.encode("LeaseRevokeRequest", { ID: briefLeaseId });
    const revoked = await this.#call("/etcdserverpb.Lease/LeaseRevoke", revoke);
    return { ...granted, answers: [granted, revoked] };
  }

  #keepAlive(id: number): Promise<Outcome> {
    return new Promise((resolve) => {
      const call = this.#client.makeBidiStreamRequest(keepAlivePath, passBytes, passBytes, {
        deadline: Date.now() + callTimeoutMs,
      });
      call.on("data", (answer: Buffer) => {
        resolve({ ...succeeded, answers: [this.#schema.decode("LeaseKeepAliveResponse", answer)] });
        call.end();
      });
      call.on("error", (error: ServiceError) => resolve(failure(error)));
      call.write(this.#schema.encode("LeaseKeepAliveRequest", { ID: id }));
    });
  }

  async #watchStream(index: number): Promise<WatchStream> {
    let stream = this.#watches.get(index);
    if (stream === undefined) {
      const call = this.#client.makeBidiStreamRequest(watchPath, passBytes, passBytes);
      stream = new WatchStream(this.#schema, call);
      this.#watches.set(index, stream);
      // One that is never cancelled, without which a stream does not answer progress requests.
      await stream.create({ key: Buffer.from("sentinel") });
    }
    return stream;
  }
}

function failure(error: ServiceError): Outcome {
  return { code: error.code, text: error.details, answers: [] };
}

/** What a watcher was told: its creation, its events in order, and its end. */
interface WatcherRecord {
  readonly control: WatchAnswer[];
  readonly events: unknown[];
}

interface WatchAnswer {
  readonly header?: { readonly revision?: string };
  readonly watch_id?: string;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compact_revision?: string;
  readonly fragment?: boolean;
  readonly events?: readonly unknown[];
}

export class WatchStream {
  readonly #schema: Schema;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #watchers = new Map<string, WatcherRecord>();
  #answersToCreates = 0;
  #progressRevision = 0;
  /** The latest revision a watcher here starts at. */
  #startMax = 0;
  #ended: string | undefined;
  /** A watcher here was overtaken by compaction: the Go server answers no more progress requests on the stream. */
  isOvertaken = false;
  #wake: () => void = () => {};

  constructor(schema: Schema, call: ClientDuplexStream<Buffer, Buffer>) {
    this.#schema = schema;
    this.#call = call;
    call.on("data", (bytes: Buffer) => this.#onAnswer(this.#schema.decode("WatchResponse", bytes) as WatchAnswer));
    call.on("error", (error: ServiceError) => this.#end(`${error.code} ${error.details}`));
    call.on("end", () => this.#end("end"));
  }

  close(): void {
    this.#call.cancel();
  }

  /** Resolves when the server has answered. */
  async create(request: Fields): Promise<void> {
    this.#startMax = Math.max(this.#startMax, Number(request["start_revision"] ?? 0));
    const expected = this.#answersToCreates + 1;
    this.#call.write(this.#schema.encode("WatchRequest", { create_request: request }));
    await this.#until(() => this.#answersToCreates >= expected);
  }

  /** Resolves when the server has answered, which it does for a watcher that is there. */
  async cancel(watchId: number): Promise<void> {
    // The sentinel has id 0.
    if (watchId === 0) return;
    this.#call.write(this.#schema.encode("WatchRequest", { cancel_request: { watch_id: watchId } }));
    const watcher = this.#watchers.get(String(watchId));
    // The answer tells the revision it is given at, which the next operation may change.
    if (watcher !== undefined) await this.#until(() => watcher.control.some((answer) => answer.canceled === true));
  }

  /** Resolves when all events up to `revision` were delivered, or a watcher was overtaken. */
  async sync(revision: number): Promise<void> {
    if (this.#startMax > revision) {
      // A watcher that waits for a later revision keeps the stream from answering progress requests. The Go server
      // looks for watchers that are behind every 100 ms.
      await this.#until(() => this.isOvertaken, 250);
      return;
    }
    const deadlineMs = performance.now() + callTimeoutMs;
    while (!this.#isSynced(revision) && performance.now() < deadlineMs) {
      this.#call.write(this.#schema.encode("WatchRequest", { progress_request: {} }));
      await this.#until(() => this.#isSynced(revision), 30);
    }
  }

  #isSynced(revision: number): boolean {
    return this.#progressRevision >= revision || this.isOvertaken || this.#ended !== undefined;
  }

  /** Everything received so far, in comparable form. */
  record(): unknown {
    return {
      ended: this.#ended,
      watchers: Object.fromEntries([...this.#watchers].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }

  #onAnswer(answer: WatchAnswer): void {
    const id = answer.watch_id ?? "0";
    if (id === "-1" && answer.created !== true && answer.canceled !== true) {
      this.#progressRevision = Math.max(this.#progressRevision, Number(answer.header?.revision ?? 0));
    } else {
      const watcher = this.#watcher(id);
      if (answer.created === true || answer.canceled === true) {
        watcher.control.push(answer);
        this.#answersToCreates += answer.created === true ? 1 : 0;
        this.isOvertaken ||= answer.created !== true && Number(answer.compact_revision ?? 0) > 0;
      }
      watcher.events.push(...(answer.events ?? []));
    }
    this.#wake();
  }

  #watcher(id: string): WatcherRecord {
    let watcher = this.#watchers.get(id);
    if (watcher === undefined) {
      watcher = { control: [], events: [] };
      this.#watchers.set(id, watcher);
    }
    return watcher;
  }

  #end(why: string): void {
    this.#ended ??= why;
    this.#wake();
  }

  /** Waits for a condition that answers can make true; the end of the stream or of the time ends the wait too. */
  async #until(isDone: () => boolean, timeoutMs: number = callTimeoutMs): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!isDone() && this.#ended === undefined && performance.now() < deadlineMs) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, deadlineMs - performance.now()));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
