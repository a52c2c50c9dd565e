import type { Clock, Timer } from "../env.js";

/** Node's clocks and timers. */
export const nodeClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimer(delayMs: number, callback: () => void): Timer {
    const timeout = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
  defer: (callback: () => void) => void setImmediate(callback),
};
