/**
 * Virtual time: one queue of events, ordered by time and then by the order in which they were made. Everything that
 * happens in a run is an event, so a run is decided by its seed.
 *
 * Code under test may await: all microtasks of an event run before the next event. They are FIFO in V8, and every timer
 * and completion they wait for is an event, so they replay too. A step is therefore a tick of Node's own, begun by the
 * last microtask known at the end of the event: by the time the tick runs, the queue of microtasks is empty.
 */

export interface Scheduled {
  cancel(): void;
}

/** Whose events they are: it decides whether and when they run. */
export interface Life {
  run(callback: () => void): void;
}

class Event implements Scheduled {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
  readonly life: Life | undefined;

  constructor(at: number, order: number, run: () => void, life: Life | undefined) {
    this.at = at;
    this.order = order;
    this.run = run;
    this.life = life;
  }

  cancel(): void {
    this.run = undefined;
  }
}

/**
 * A busy run makes some 10 000 events in a virtual second. So many are members that answer each other without end, and
 * a run that would never be over.
 */
const eventsPerSecondMax = 200_000;

export interface WorldOptions {
  /** More events than this in one virtual second stop the run; 200 000 unless given. */
  readonly eventsPerSecondMax?: number;
  /** Told why the run was stopped so. */
  livelocked?(reason: string): void;
}

export class World {
  readonly #options: WorldOptions;
  readonly #eventsPerSecondMax: number;
  /** Events in the virtual second that ends then. */
  #secondEvents = 0;
  #secondEndsAt = 1000;
  #now = 0;
  #order = 0;
  #heap: Event[] = [];
  #trace = 0x811c9dc5;
  #events = 0;
  #stopped = false;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.#eventsPerSecondMax = options.eventsPerSecondMax ?? eventsPerSecondMax;
  }

  /** Virtual milliseconds. */
  get now(): number {
    return this.#now;
  }

  get eventCount(): number {
    return this.#events;
  }

  /** Hash over all that happened: equal for equal runs. */
  get traceHash(): number {
    return this.#trace >>> 0;
  }

  /** Adds a fact to the trace. */
  note(fact: number): void {
    this.#trace = Math.imul(this.#trace ^ (fact | 0), 0x01000193) >>> 0;
  }

  /**
   * With a `life`, it is given `run` when the time has come: most events are of one, and a closure for each would cost.
   */
  schedule(delayMs: number, run: () => void, life?: Life): Scheduled {
    const event = new Event(this.#now + Math.max(0, delayMs), this.#order++, run, life);
    this.#push(event);
    return event;
  }

  /** Ends `runUntil` after the event at hand. */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs events up to and including this time, or until `stop`. Rejects with what an event throws. */
  runUntil(time: number): Promise<void> {
    this.#stopped = false;
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          if (this.#stopped || !this.#runNext(time)) return resolve();
        } catch (error) {
          return reject(error);
        }
        // Like queueMicrotask, without the resource that Node makes for each of its microtasks.
        void settled.then(again);
      };
      const again = (): void => process.nextTick(step);
      process.nextTick(step);
    });
  }

  /** False when no event is due. */
  #runNext(time: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > time) {
        this.#now = Math.max(this.#now, time);
        return false;
      }
      this.#pop();
      const { run, life } = next;
      if (run === undefined) continue;
      this.#now = next.at;
      this.#events++;
      if (next.at >= this.#secondEndsAt) {
        this.#secondEndsAt = Math.floor(next.at / 1000) * 1000 + 1000;
        this.#secondEvents = 0;
      }
      if (++this.#secondEvents > this.#eventsPerSecondMax) return this.#livelocked();
      this.note(next.order ^ Math.floor(next.at * 1024));
      if (life === undefined) run();
      else life.run(run);
      return true;
    }
  }

  #livelocked(): boolean {
    this.stop();
    this.#options.livelocked?.(`${this.#eventsPerSecondMax} events within one virtual second: a livelock`);
    return false;
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

const settled = Promise.resolve();

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
