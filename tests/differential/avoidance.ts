/**
 * Keeps programs off what Go etcd leaves to chance or breaks on; each rule names its reason. What is avoided follows
 * from requests and answers alone, never from how fast a server was, so that a program runs alike every time.
 */

import type { Outcome } from "./endpoint.js";
import type { Fields, Operation } from "./program.js";

const compact = "/etcdserverpb.KV/Compact";
const hashKv = "/etcdserverpb.Maintenance/HashKV";
const txn = "/etcdserverpb.KV/Txn";

/** What the creates of one watch stream asked for. */
interface StreamHistory {
  /** The earliest and latest of the start revisions given. */
  startMin: number;
  startMax: number;
  /** The client has chosen an id. */
  hasChosenId: boolean;
}

export class Avoidance {
  /** Revisions of transactions that both deleted and put. */
  readonly #mixedRevisions = new Set<number>();
  readonly #streams = new Map<number, StreamHistory>();
  #revision = 0;
  #compactRevision = 0;
  #isCompacting = false;

  startProgram(): void {
    this.#streams.clear();
  }

  /** The store's. */
  get revision(): number {
    return this.#revision;
  }

  /** Takes notice of what an operation, its revisions absolute, did. */
  observe(operation: Operation, outcome: Outcome): void {
    if (operation.kind === "watch") {
      this.#observeWatch(operation.stream, operation.request);
      return;
    }
    const answer = outcome.answers[0] as Answer | undefined;
    const revision = Number(answer?.header?.revision ?? 0);
    this.#revision = Math.max(this.#revision, revision);
    if (!("path" in operation) || outcome.code !== 0) {
      return;
    }
    if (operation.path === compact) {
      this.#compactRevision = Number(operation.request["revision"]);
      this.#isCompacting = operation.request["physical"] !== true;
    } else if (operation.path === txn && hasDelete(answer) && hasPut(answer)) {
      this.#mixedRevisions.add(revision);
    }
  }

  /** Whether the operation, its revisions absolute, is to be left out. */
  avoids(operation: Operation): boolean {
    switch (operation.kind) {
      case "call":
        return operation.path === compact && this.#avoidsCompaction(Number(operation.request["revision"] ?? 0));
      case "watch":
        return this.#avoidsWatch(operation.stream, operation.request);
      case "cancel":
        return this.#mayBeOvertaken(operation.stream) || this.#cannotBeAwaited(operation.stream);
      default:
        return false;
    }
  }

  /**
   * What is to be done before the operation so that its answer is determined. Until a compaction has done its physical
   * work, HashKV of the Go server covers the rows to be removed if none are to be kept, and answers for its revision
   * are not those kept with it; a compaction that follows too soon keeps none. Compacting again, physically, waits.
   */
  preparation(operation: Operation): Operation | undefined {
    if (!this.#isCompacting || operation.kind !== "call" || ![compact, hashKv].includes(operation.path)) {
      return undefined;
    }
    this.#isCompacting = false;
    return { kind: "call", path: compact, request: { revision: this.#compactRevision, physical: true } };
  }

  /**
   * The Go server loses the live row of a key that the transaction of this very revision deleted and put again, and
   * crashes when the key is read. A watcher that is behind may or may not be overtaken, or miss previous values; one
   * that was overtaken may not have been told so yet, and will then be told of this compaction instead.
   */
  #avoidsCompaction(revision: number): boolean {
    const streams = [...this.#streams.keys()];
    const isOpen = streams.some((index) => this.#cannotBeAwaited(index) || this.#mayBeOvertaken(index));
    return isOpen || this.#mixedRevisions.has(revision);
  }

  /** In the Go server an overtaken watcher keeps its id. */
  #avoidsWatch(index: number, request: Fields): boolean {
    const choosesId = request["watch_id"] !== undefined || this.#streams.get(index)?.hasChosenId === true;
    return choosesId && this.#mayBeOvertaken(index);
  }

  #mayBeOvertaken(index: number): boolean {
    return (this.#streams.get(index)?.startMin ?? Number.POSITIVE_INFINITY) <= this.#compactRevision;
  }

  /** A watcher for a later revision keeps the Go server from telling how far the others of its stream are. */
  #cannotBeAwaited(index: number): boolean {
    return (this.#streams.get(index)?.startMax ?? 0) > this.#revision;
  }

  #observeWatch(index: number, request: Fields): void {
    const start = Number(request["start_revision"] ?? 0);
    const before = this.#streams.get(index);
    this.#streams.set(index, {
      startMin: Math.min(before?.startMin ?? Number.POSITIVE_INFINITY, start > 0 ? start : Number.POSITIVE_INFINITY),
      startMax: Math.max(before?.startMax ?? 0, start),
      hasChosenId: before?.hasChosenId === true || request["watch_id"] !== undefined,
    });
  }
}

interface Answer {
  readonly header?: { readonly revision?: string };
  readonly responses?: readonly OperationAnswer[];
}

interface OperationAnswer {
  readonly response_put?: unknown;
  readonly response_delete_range?: { readonly deleted?: string };
  readonly response_txn?: Answer;
}

function hasPut(answer: Answer | undefined): boolean {
  return (answer?.responses ?? []).some((each) => each.response_put !== undefined || hasPut(each.response_txn));
}

function hasDelete(answer: Answer | undefined): boolean {
  return (answer?.responses ?? []).some(
    (each) => Number(each.response_delete_range?.deleted ?? 0) > 0 || hasDelete(each.response_txn),
  );
}
