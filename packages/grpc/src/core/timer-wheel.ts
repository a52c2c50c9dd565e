/**
 * Many timers of low precision: a call's deadline costs two pointer writes to set and two to drop, without allocation.
 * Time is passed in; a timer fires at the first `advance` at or after its time, at most one slot late.
 */

/** What a timer belongs to. The links are the wheel's own. */
export interface TimerEntry {
  /** When to fire, in the wheel's milliseconds. */
  deadlineMs: number;
  previousTimer: TimerEntry | undefined;
  nextTimer: TimerEntry | undefined;
  /** Called once. The entry may be scheduled again from here. */
  onDeadline(nowMs: number): void;
}

export const slotMs = 8;
const slotCount = 512;

export class TimerWheel {
  /** Each slot is a ring through a sentinel; a timer further away than a turn stays in its slot for several turns. */
  readonly #slots: TimerEntry[] = [];
  #lastSlot: number;
  #advancing = false;
  /** The time of the last `advance` or of construction: "now" for whoever reads no clock. */
  nowMs: number;
  /** When `advance` has something to do at the earliest; infinite while no timer is set. */
  wakeAtMs: number = Number.POSITIVE_INFINITY;
  /** Called when `wakeAtMs` has come nearer, so that whoever drives the wheel may sleep until then. */
  onEarlier: (() => void) | undefined;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
    this.#lastSlot = Math.floor(nowMs / slotMs);
    for (let i = 0; i < slotCount; i++) {
      const sentinel: TimerEntry = {
        deadlineMs: 0,
        previousTimer: undefined,
        nextTimer: undefined,
        onDeadline: () => undefined,
      };
      sentinel.previousTimer = sentinel;
      sentinel.nextTimer = sentinel;
      this.#slots.push(sentinel);
    }
  }

  /** Sets a timer that is not set. */
  schedule(entry: TimerEntry, deadlineMs: number): void {
    entry.deadlineMs = deadlineMs;
    // A time already passed is due in the next slot, not in one the hand has left behind.
    const slot = Math.max(Math.ceil(deadlineMs / slotMs), this.#lastSlot + 1);
    const sentinel = this.#slots[slot % slotCount] as TimerEntry;
    const last = sentinel.previousTimer as TimerEntry;
    entry.previousTimer = last;
    entry.nextTimer = sentinel;
    last.nextTimer = entry;
    sentinel.previousTimer = entry;
    if (slot * slotMs < this.wakeAtMs) {
      this.wakeAtMs = slot * slotMs;
      if (!this.#advancing) this.onEarlier?.();
    }
  }

  /** Drops a timer; nothing when it is not set. */
  cancel(entry: TimerEntry): void {
    const { previousTimer, nextTimer } = entry;
    if (previousTimer === undefined || nextTimer === undefined) return;
    previousTimer.nextTimer = nextTimer;
    nextTimer.previousTimer = previousTimer;
    entry.previousTimer = undefined;
    entry.nextTimer = undefined;
  }

  /** Fires what is due, in the order of slots, then of setting. */
  advance(nowMs: number): void {
    this.nowMs = nowMs;
    const slot = Math.floor(nowMs / slotMs);
    if (slot <= this.#lastSlot) return;
    const first = Math.max(this.#lastSlot + 1, slot - slotCount + 1);
    this.#lastSlot = slot;
    this.#advancing = true;
    for (let i = first; i <= slot; i++) this.#fireSlot(this.#slots[i % slotCount] as TimerEntry, nowMs);
    this.#advancing = false;
    this.wakeAtMs = this.#nextWake();
  }

  #nextWake(): number {
    for (let i = 1; i <= slotCount; i++) {
      const sentinel = this.#slots[(this.#lastSlot + i) % slotCount] as TimerEntry;
      if (sentinel.nextTimer !== sentinel) return (this.#lastSlot + i) * slotMs;
    }
    return Number.POSITIVE_INFINITY;
  }

  #fireSlot(sentinel: TimerEntry, nowMs: number): void {
    // Only what was here at the start: a callback may put new timers into this slot.
    let left = 0;
    for (let entry = sentinel.nextTimer; entry !== sentinel && entry !== undefined; entry = entry.nextTimer) left++;
    let entry = sentinel.nextTimer as TimerEntry;
    const due: TimerEntry[] = [];
    for (; left > 0; left--) {
      const next = entry.nextTimer as TimerEntry;
      if (entry.deadlineMs <= nowMs) due.push(entry);
      entry = next;
    }
    for (const timer of due) {
      // An earlier callback may have dropped or moved this one.
      if (timer.nextTimer === undefined || timer.deadlineMs > nowMs) continue;
      this.cancel(timer);
      timer.onDeadline(nowMs);
    }
  }
}
