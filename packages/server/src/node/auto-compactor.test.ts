/** Automatic compaction over virtual hours: when, and what. */

import { expect, test } from "vitest";
import type { AutoCompaction } from "../config/auto-compaction.js";
import type { Clock } from "../env.js";
import { createAutoCompactor } from "./auto-compactor.js";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** A clock that is moved on by hand. */
class VirtualClock implements Pick<Clock, "now" | "setTimer"> {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  get timers(): number {
    return this.#timers.length;
  }

  advanceTo(at: number): void {
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > at) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = at;
  }
}

/** A store whose revision is `100 + minutes`, unless it is given, and what was compacted: minute and revision. */
function run(
  mode: AutoCompaction,
  options: { leads?: (minute: number) => boolean; fails?: (minute: number) => boolean; revision?: number },
) {
  const clock = new VirtualClock();
  const attempts: [minute: number, revision: number][] = [];
  const minute = (): number => Math.round(clock.now() / minuteMs);
  const compactor = createAutoCompactor(
    {
      clock: clock as unknown as Clock,
      logger: { log: () => undefined },
      isLeader: () => options.leads?.(minute()) ?? true,
      currentRevision: () => options.revision ?? 100 + minute(),
      compact: (revision, done) => {
        attempts.push([minute(), revision]);
        done(options.fails?.(minute()) !== true);
      },
    },
    mode,
  );
  compactor?.start();
  return { clock, attempts, compactor };
}

test("off is off", () => {
  expect(createAutoCompactor({} as never, { kind: "off" })).toBeUndefined();
});

test("a period below an hour: each period, what was current a period and one sample ago", () => {
  const { clock, attempts } = run({ kind: "periodic", periodMs: 10 * minuteMs }, {});
  clock.advanceTo(31 * minuteMs);
  expect(attempts).toEqual([
    [10, 100],
    [20, 109],
    [30, 119],
  ]);
});

test("a period above an hour: at its end, then each hour", () => {
  const { clock, attempts } = run({ kind: "periodic", periodMs: 3 * hourMs }, {});
  clock.advanceTo(5 * hourMs + minuteMs);
  expect(attempts).toEqual([
    [180, 100],
    [240, 154],
    [300, 214],
  ]);
});

test("a failed compaction is tried again after a tenth of the period, with the sample of then", () => {
  const { clock, attempts } = run({ kind: "periodic", periodMs: 10 * minuteMs }, { fails: (minute) => minute < 12 });
  clock.advanceTo(23 * minuteMs);
  expect(attempts).toEqual([
    [10, 100],
    [11, 100],
    [12, 101],
    [22, 111],
  ]);
});

test("who does not lead keeps its samples, so that it can go on when it does", () => {
  const { clock, attempts } = run({ kind: "periodic", periodMs: 10 * minuteMs }, { leads: (minute) => minute >= 25 });
  clock.advanceTo(36 * minuteMs);
  expect(attempts).toEqual([
    [25, 114],
    [35, 124],
  ]);
});

test("by revisions: every five minutes, unless nothing is to be compacted", () => {
  const { clock, attempts } = run({ kind: "revision", retention: 107 }, { fails: (minute) => minute === 15 });
  clock.advanceTo(21 * minuteMs);
  expect(attempts).toEqual([
    [10, 3],
    [15, 8],
    [20, 13],
  ]);
});

test("nothing is compacted twice, and nothing after the stop", () => {
  const modes = [
    { kind: "revision", retention: 50 },
    { kind: "periodic", periodMs: 5 * minuteMs },
  ] as const;
  for (const [mode, revision] of [
    [modes[0], 250],
    [modes[1], 300],
  ] as const) {
    const { clock, attempts, compactor } = run(mode, { revision: 300 });
    clock.advanceTo(60 * minuteMs);
    expect(attempts).toEqual([[5, revision]]);
    compactor?.stop();
    expect(clock.timers).toBe(0);
  }
});
