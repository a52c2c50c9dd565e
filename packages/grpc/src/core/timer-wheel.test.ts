import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { slotMs, type TimerEntry, TimerWheel } from "./timer-wheel.js";

function timer(onDeadline: (nowMs: number) => void): TimerEntry {
  return { deadlineMs: 0, previousTimer: undefined, nextTimer: undefined, onDeadline };
}

describe("TimerWheel", () => {
  it("fires everything once, not early and at most one slot late, however time is advanced", () => {
    const run = fc.record({
      delays: fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 30 }),
      steps: fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 40 }),
    });
    fc.assert(
      fc.property(run, ({ delays, steps }) => {
        const wheel = new TimerWheel(1000);
        const fired = new Map<number, number>();
        delays.forEach((delay, i) => {
          wheel.schedule(
            timer((nowMs) => {
              expect(fired.has(i)).toBe(false);
              fired.set(i, nowMs);
            }),
            1000 + delay,
          );
        });
        let now = 1000;
        for (const step of steps) {
          now += step;
          wheel.advance(now);
          delays.forEach((delay, i) => {
            if (1000 + delay + slotMs <= now) expect(fired.has(i)).toBe(true);
            if (1000 + delay > now) expect(fired.has(i)).toBe(false);
          });
          if (fired.size < delays.length) expect(wheel.wakeAtMs).toBeLessThan(Number.POSITIVE_INFINITY);
          else expect(wheel.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
        }
      }),
    );
  });

  it("does not fire what was dropped, also from another timer's callback", () => {
    const wheel = new TimerWheel(0);
    const fired: string[] = [];
    const second = timer(() => fired.push("second"));
    wheel.schedule(
      timer(() => {
        fired.push("first");
        wheel.cancel(second);
      }),
      16,
    );
    wheel.schedule(second, 16);
    wheel.cancel(timer(() => undefined));
    wheel.advance(100);
    expect(fired).toEqual(["first"]);
  });

  it("lets a timer set itself again", () => {
    const wheel = new TimerWheel(0);
    let count = 0;
    const again = timer((nowMs) => {
      count++;
      wheel.schedule(again, nowMs + 100);
    });
    wheel.schedule(again, 100);
    for (let now = 0; now <= 1000; now += 10) wheel.advance(now);
    expect(count).toBeGreaterThanOrEqual(9);
    expect(count).toBeLessThanOrEqual(10);
  });

  it("tells its driver when something comes earlier", () => {
    const wheel = new TimerWheel(0);
    const wakes: number[] = [];
    wheel.onEarlier = () => wakes.push(wheel.wakeAtMs);
    wheel.schedule(
      timer(() => undefined),
      1000,
    );
    wheel.schedule(
      timer(() => undefined),
      2000,
    );
    wheel.schedule(
      timer(() => undefined),
      80,
    );
    expect(wakes).toEqual([1000, 80]);
    wheel.advance(80);
    expect(wheel.wakeAtMs).toBe(1000);
  });
});
