import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeadlineHeap, type HeapEntry } from "./deadline-heap.js";

function entry(): HeapEntry {
  return { dueMs: 0, position: -1 };
}

function drain(heap: DeadlineHeap<HeapEntry>): number[] {
  const order: number[] = [];
  for (let first = heap.peek(); first !== undefined; first = heap.peek()) {
    order.push(first.dueMs);
    heap.remove(first);
  }
  return order;
}

describe("DeadlineHeap", () => {
  it("gives entries in the order of their deadlines, after any moves and removals", () => {
    const command = fc.record({ at: fc.nat(19), dueMs: fc.nat(100), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 100 }), (commands) => {
        const heap = new DeadlineHeap<HeapEntry>();
        const entries = Array.from({ length: 20 }, entry);
        const model = new Map<number, number>();
        for (const { at, dueMs, remove } of commands) {
          const target = entries[at]!;
          if (remove) {
            heap.remove(target);
            model.delete(at);
          } else {
            heap.set(target, dueMs);
            model.set(at, dueMs);
          }
          expect(heap.size).toBe(model.size);
          expect(heap.peek()?.dueMs ?? Number.POSITIVE_INFINITY).toBe(Math.min(...model.values()));
        }
        expect(drain(heap)).toEqual([...model.values()].sort((a, b) => a - b));
        expect(entries.every((each) => each.position === -1)).toBe(true);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it("forgets all entries when cleared, so that they can be added again", () => {
    const heap = new DeadlineHeap<HeapEntry>();
    const [a, b] = [entry(), entry()];
    heap.set(a, 2);
    heap.set(b, 1);
    heap.clear();
    expect(heap.peek()).toBeUndefined();
    heap.set(a, 5);
    expect(drain(heap)).toEqual([5]);
  });
});
