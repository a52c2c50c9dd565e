import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Budget, runToEnd } from "./mvcc/budget.js";
import { ShardedMap, shardOfId, shardOfKey } from "./sharded-map.js";

describe("a sharded map", () => {
  it("holds what a map holds", () => {
    const command = fc.tuple(fc.constantFrom("set", "delete", "get"), fc.integer({ min: 0, max: 40 }), fc.nat());
    fc.assert(
      fc.property(fc.array(command), (commands) => {
        const sharded = new ShardedMap<string, number>(shardOfKey);
        const map = new Map<string, number>();
        for (const [kind, number, value] of commands) {
          const key = `key ${number}`;
          if (kind === "set") {
            sharded.set(key, value);
            map.set(key, value);
          } else if (kind === "delete") expect(sharded.delete(key)).toBe(map.delete(key));
          expect(sharded.get(key)).toBe(map.get(key));
          expect(sharded.has(key)).toBe(map.has(key));
          expect(sharded.size).toBe(map.size);
        }
        expect(runToEnd(sharded.keyListTask(new Budget(0)))).toEqual(sharded.keyList());
        expect([...sharded.keyList()].sort()).toEqual([...map.keys()].sort());
        expect([...sharded.values()].sort()).toEqual([...map.values()].sort());
      }),
    );
  });

  it.each([
    ["numbered keys", (n: number) => shardOfKey(`/bench/${String(n).padStart(12, "0")}`)],
    ["keys that differ in the middle", (n: number) => shardOfKey(`/registry/pods/namespace-${n}/a-name-that-is-long`)],
    ["lease ids", (n: number) => shardOfId(0x7_0000_0000_0000n + BigInt(n) * 0x100n)],
  ])("spreads %s", (_name, shardOf) => {
    const counts = new Map<number, number>();
    const total = 50_000;
    for (let n = 0; n < total; n++) {
      const shard = shardOf(n) & 255;
      counts.set(shard, (counts.get(shard) ?? 0) + 1);
    }
    expect(Math.max(...counts.values())).toBeLessThan((total / 256) * 4);
  });
});
