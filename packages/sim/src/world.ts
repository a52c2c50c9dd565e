/**
 * Virtual time: one queue of events, ordered by time and then by the order in which they were made. Everything that happens
 * in a run is an event, so a run is decided by its seed.
 *
 * Code under test may await: after each event its microtasks run before the next one. They are FIFO in V8, and every timer
 * and completion they wait for is an event, so they replay too.
 */

export interface Scheduled {
  cancel(): void;
}

interface Event {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Chained awaits of one event that are run before the next event; longer chains go on beside later events. */
const microtaskHops = 12;

export class World {
  #now = 0;
  #order = 0;
  #heap: Event[] = [];
  #trace = 0x811c9dc5;
  #events = 0;
  /** Set by whoever settles a promise within an event: its reactions must run before the next event. */
  #settled = false;

  /** Virtual milliseconds. */
  get now(): number {
    return this.#now;
  }

  get eventCount(): number {
    return this.#events;
  }

  /** Hash over all that was noted: equal for equal runs. */
  get traceHash(): number {
    return this.#trace >>> 0;
  }

  /** Adds a fact to the trace. */
  note(fact: number): void {
    this.#trace = Math.imul(this.#trace ^ (fact | 0), 0x01000193) >>> 0;
  }

  schedule(delayMs: number, run: () => void): Scheduled {
    const event: Event = { at: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    this.#push(event);
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  /** To be called when an event settles a promise that the code under test awaits. */
  settling(): void {
    this.#settled = true;
  }

  /** Runs events up to and including this time. */
  async runUntil(time: number): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > time) break;
      this.#pop();
      const { run } = next;
      if (run === undefined) continue;
      this.#now = next.at;
      this.#events++;
      this.note(next.order ^ Math.floor(next.at * 1024));
      run();
      if (!this.#settled) continue;
      this.#settled = false;
      for (let i = 0; i < microtaskHops; i++) await undefined;
    }
    this.#now = Math.max(this.#now, time);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (isBefore(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (isBefore(last, heap[child] as Event)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
