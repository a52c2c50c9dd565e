/** Walks the buffered records of a range in order, beside a scan of the committed ones. */

import type { RecordVisitor } from "@etcd-ts/store";
import type { Generation } from "./generation.js";
import type { RecordLane } from "./record-lane.js";

interface Cursor {
  readonly generation: Generation;
  readonly lane: RecordLane;
  position: number;
}

export class RecordMerge {
  /** Of newer generations first, so that theirs wins among equal records. */
  readonly #cursors: readonly Cursor[];

  /** Records with (loMain, loOrder) ≤ (main, order) < (hiMain, 0). */
  constructor(generations: readonly Generation[], loMain: number, loOrder: number, hiMain: number) {
    this.#cursors = generations.flatMap((generation) =>
      generation.lanes
        .map((lane) => ({ generation, lane, position: lane.lowerBound(loMain, loOrder) }))
        .filter(({ lane, position }) => position < lane.count && lane.main(position) < hiMain),
    );
  }

  /** Visits those before (main, order); false when the visitor ended the scan. */
  visitBefore(main: number, order: number, visit: RecordVisitor): boolean {
    for (let next = this.#next(main, order); next !== undefined; next = this.#next(main, order)) {
      const { generation, lane, position } = next;
      const value = generation.valueAt(lane, position);
      const rowMain = lane.main(position);
      const rowOrder = lane.order(position);
      // Older generations may have it too.
      for (const cursor of this.#cursors) if (isAt(cursor, rowMain, rowOrder)) cursor.position++;
      if (value !== null && !visit(rowMain, Math.floor(rowOrder / 2), rowOrder % 2 === 1, value)) return false;
    }
    return true;
  }

  /** Called when all before (main, order) are visited: whether the buffer has that record, or its deletion. */
  has(main: number, order: number): boolean {
    return this.#cursors.some((cursor) => isAt(cursor, main, order));
  }

  #next(main: number, order: number): Cursor | undefined {
    let next: Cursor | undefined;
    for (const cursor of this.#cursors) {
      if (cursor.position >= cursor.lane.count || !cursor.lane.isBefore(cursor.position, main, order)) continue;
      const isEarlier =
        next === undefined ||
        cursor.lane.isBefore(cursor.position, next.lane.main(next.position), next.lane.order(next.position));
      if (isEarlier) next = cursor;
    }
    return next;
  }
}

function isAt({ lane, position }: Cursor, main: number, order: number): boolean {
  return position < lane.count && lane.main(position) === main && lane.order(position) === order;
}
