import { describe, expect, test } from "vitest";
import { World } from "./world.js";

describe("virtual time", () => {
  test("events run by time, then in the order of their making", async () => {
    const world = new World();
    const seen: string[] = [];
    world.schedule(2, () => seen.push(`c at ${world.now}`));
    world.schedule(1, () => seen.push(`a at ${world.now}`));
    world.schedule(1, () => seen.push(`b at ${world.now}`));
    await world.runUntil(10);
    expect(seen).toEqual(["a at 1", "b at 1", "c at 2"]);
    expect(world.now).toBe(10);
    expect(world.eventCount).toBe(3);
  });

  test("what is cancelled does not run", async () => {
    const world = new World();
    const seen: string[] = [];
    const scheduled = world.schedule(1, () => seen.push("cancelled"));
    world.schedule(2, () => seen.push("kept"));
    scheduled.cancel();
    await world.runUntil(10);
    expect(seen).toEqual(["kept"]);
  });

  test("all that an event's awaits lead to happens before the next event", async () => {
    const world = new World();
    const seen: string[] = [];
    const chain = async (): Promise<void> => {
      for (let i = 0; i < 50; i++) await undefined;
      seen.push(`awaited at ${world.now}`);
    };
    world.schedule(1, () => void chain());
    world.schedule(1.5, () => seen.push("next"));
    await world.runUntil(10);
    expect(seen).toEqual(["awaited at 1", "next"]);
  });

  test("what an event throws is the run's error", async () => {
    const world = new World();
    world.schedule(1, () => {
      throw new Error("thrown");
    });
    await expect(world.runUntil(10)).rejects.toThrow("thrown");
  });
});

describe("a livelock", () => {
  /** Events that make each other, `intervalMs` apart. */
  function ping(world: World, intervalMs: number): void {
    world.schedule(intervalMs, () => ping(world, intervalMs));
  }

  function livelockOf(intervalMs: number): { readonly world: World; readonly reasons: string[] } {
    const reasons: string[] = [];
    const world = new World({ eventsPerSecondMax: 100, livelocked: (reason) => void reasons.push(reason) });
    ping(world, intervalMs);
    return { world, reasons };
  }

  test("of events that take no time ends the run", async () => {
    const { world, reasons } = livelockOf(0);
    await world.runUntil(10_000);
    expect(reasons).toEqual(["100 events within one virtual second: a livelock"]);
    expect(world.now).toBe(0);
  });

  test("of events that take some ends the run in the virtual second that has too many", async () => {
    const { world, reasons } = livelockOf(9);
    await world.runUntil(10_000);
    expect(reasons).toHaveLength(1);
    expect(world.now).toBe(909);
  });

  test("is not what goes on for long", async () => {
    const { world, reasons } = livelockOf(10.5);
    await world.runUntil(10_000);
    expect(reasons).toEqual([]);
    expect(world.eventCount).toBe(952);
  });
});
