import type { ProgressTracker } from "./tracker.js";
import type { Message, NodeId } from "./types.js";

/** A read whose leadership is to be confirmed, and what had been committed when it came. */
export interface PendingRead {
  readonly request: Message;
  readonly index: number;
}

/**
 * Reads waiting for a quorum to confirm that this node is still leader. Each read has a position: how many came before
 * it in this term, itself included. Heartbeats carry the position of the last one; who echoes it has seen this leader
 * after all reads up to it were received. Source: thesis §6.4.
 */
export class ReadOnly {
  #pending: PendingRead[] = [];
  #confirmed = 0;
  readonly #acknowledged: Map<NodeId, number> = new Map();

  get pendingCount(): number {
    return this.#pending.length;
  }

  /** Adds a read and returns its position. */
  add(read: PendingRead): number {
    this.#pending.push(read);
    return this.#confirmed + this.#pending.length;
  }

  /** The context that heartbeats carry: the last read's position, 8 bytes little-endian; undefined if none waits. */
  heartbeatContext(): Uint8Array | undefined {
    if (this.#pending.length === 0) return undefined;
    const context = new Uint8Array(8);
    new DataView(context.buffer).setBigUint64(0, BigInt(this.#confirmed + this.#pending.length), true);
    return context;
  }

  /** The position in an echoed context; undefined if this leader did not send it. */
  position(context: Uint8Array): number | undefined {
    if (context.length !== 8) return undefined;
    const view = new DataView(context.buffer, context.byteOffset, 8);
    const position = Number(view.getBigUint64(0, true));
    return position <= this.#confirmed + this.#pending.length ? position : undefined;
  }

  /**
   * Notes that `id` has seen this leader after the read at `position`, and returns the reads that are confirmed now.
   */
  acknowledge(id: NodeId, position: number, tracker: ProgressTracker): PendingRead[] {
    this.#acknowledged.set(id, Math.max(position, this.#acknowledged.get(id) ?? 0));
    const confirmed = tracker.quorumIndex(this.#acknowledged);
    if (confirmed <= this.#confirmed) return [];
    const reads = this.#pending.splice(0, confirmed - this.#confirmed);
    this.#confirmed += reads.length;
    return reads;
  }
}
