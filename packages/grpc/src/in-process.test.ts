import { describe, expect, it } from "vitest";
import { type ServiceTable, StatusCode } from "./call.js";
import { connectInProcess, type InProcessScheduler } from "./in-process.js";
import { describeCalls, record } from "./testing/call-suite.js";
import { echoTable, writer } from "./testing/tables.js";

const realScheduler: InProcessScheduler = {
  setTimer: (delayMs, callback) => {
    const timeout = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
  defer: (callback) => {
    setImmediate(callback);
  },
};

describeCalls("in-process transport", {
  open: async (table) => {
    const client = connectInProcess(table, realScheduler);
    return { client, close: async () => client.close() };
  },
});

/** Virtual time: nothing happens but in `run`. */
class VirtualScheduler implements InProcessScheduler {
  #now = 0;
  #deferred: (() => void)[] = [];
  #timers: { at: number; callback: () => void }[] = [];

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  get timerCount(): number {
    return this.#timers.length;
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  run(untilMs: number): void {
    for (;;) {
      for (const callback of this.#deferred.splice(0)) callback();
      if (this.#deferred.length > 0) continue;
      this.#timers.sort((a, b) => a.at - b.at);
      const [next] = this.#timers;
      if (next === undefined || next.at > untilMs) return;
      this.#timers.shift();
      this.#now = next.at;
      next.callback();
    }
  }
}

describe("in-process transport under virtual time", () => {
  it("delivers nothing by itself, and everything in the order it was sent", () => {
    const scheduler = new VirtualScheduler();
    const log: string[] = [];
    const table: ServiceTable = new Map([
      [
        "/t.T/A",
        {
          kind: "request",
          handle: (call, request) => {
            log.push(`request ${request[0]}`);
            call.respond(1, writer(request.slice()));
          },
        },
      ],
    ]);
    const client = connectInProcess(table, scheduler);
    for (let i = 0; i < 3; i++) {
      const call = client.open(
        "/t.T/A",
        {},
        {
          onMessage: (message) => log.push(`answer ${message[0]}`),
          onEnd: (status) => log.push(`end ${i} ${status.code}`),
        },
      );
      call.sendLast(1, writer(Uint8Array.of(i)));
    }
    expect(log).toEqual([]);
    scheduler.run(0);
    expect(log).toEqual([
      ...["request 0", "request 1", "request 2"],
      ...["answer 0", "end 0 0", "answer 1", "end 1 0", "answer 2", "end 2 0"],
    ]);
  });

  it("keeps deadlines by the scheduler's time", () => {
    const scheduler = new VirtualScheduler();
    const client = connectInProcess(echoTable(), scheduler);
    const ends: number[] = [];
    client.open("/test.Echo/Hang", { timeoutMs: 1e9 }, { onMessage: () => undefined, onEnd: (s) => ends.push(s.code) });
    scheduler.run(1e9 - 1);
    expect(ends).toEqual([]);
    scheduler.run(1e9);
    expect(ends).toEqual([StatusCode.deadlineExceeded]);
  });

  it("leaves no timer behind", async () => {
    const scheduler = new VirtualScheduler();
    const client = connectInProcess(echoTable(), scheduler);
    const recording = record(client, "/test.Echo/Unary", { timeoutMs: 1e6 });
    recording.call.sendLast(1, writer(Uint8Array.of(65)));
    expect(scheduler.timerCount).toBe(1);
    scheduler.run(0);
    expect(await recording.ended).toMatchObject({ code: 0 });
    expect(scheduler.timerCount).toBe(0);
  });

  it("ends every call when it is closed, and later ones at once", async () => {
    const scheduler = new VirtualScheduler();
    const client = connectInProcess(echoTable(), scheduler);
    const open = record(client, "/test.Echo/Hang");
    scheduler.run(0);
    client.close();
    expect((await open.ended).code).toBe(StatusCode.cancelled);
    const late = record(client, "/test.Echo/Unary");
    scheduler.run(0);
    expect((await late.ended).code).toBe(StatusCode.unavailable);
  });

  it("cancels a call whose unread messages pass the cap", () => {
    const scheduler = new VirtualScheduler();
    let sent = 0;
    const table: ServiceTable = new Map([
      [
        "/t.T/A",
        {
          kind: "request",
          handle: (call) => {
            while (!call.ended) {
              call.send(1 << 20, () => undefined);
              sent++;
            }
          },
        },
      ],
    ]);
    const client = connectInProcess(table, scheduler);
    const recording = record(client, "/t.T/A");
    recording.call.sendLast(0, () => undefined);
    scheduler.run(0);
    expect(sent).toBe(10);
    expect(recording.call.ended).toBe(true);
  });
});
