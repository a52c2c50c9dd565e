import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hashOf, SlotTable } from "./slot-table.js";

/** A table beside the map it must agree with. */
class Checked {
  readonly keys: string[] = [];
  readonly map = new Map<string, number>();
  readonly table = new SlotTable({ get: (slot) => this.keys[slot] ?? "" });

  add(key: string): void {
    if (this.map.has(key)) return;
    const slot = this.keys.push(key) - 1;
    this.map.set(key, slot);
    this.table.add(key, slot);
  }

  remove(key: string): void {
    if (this.map.delete(key)) this.table.remove(key);
  }

  check(keys: Iterable<string>): void {
    expect(this.table.size).toBe(this.map.size);
    for (const key of keys) expect(this.table.get(key)).toBe(this.map.get(key) ?? -1);
  }
}

describe("a slot table", () => {
  it("holds what a map holds", () => {
    const command = fc.tuple(fc.constantFrom("add", "remove"), fc.integer({ min: 0, max: 60 }));
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const checked = new Checked();
        for (const [kind, number] of commands) {
          if (kind === "add") checked.add(`key ${number}`);
          else checked.remove(`key ${number}`);
          checked.check([`key ${number}`]);
        }
        checked.check(Array.from({ length: 61 }, (_, number) => `key ${number}`));
      }),
    );
  });

  it("grows, and is used again after everything was removed", () => {
    const checked = new Checked();
    const keys = Array.from({ length: 20_000 }, (_, number) => `/registry/pods/pod-${number}`);
    for (let round = 0; round < 3; round++) {
      for (const key of keys) checked.add(key);
      checked.check(keys);
      for (const key of keys) checked.remove(key);
      checked.check(keys);
    }
  });

  it("finds keys whose hashes were chosen to be in each other's way, however they come and go", () => {
    const rivals = rivalsOf(48);
    const checked = new Checked();
    for (const key of rivals) checked.add(key);
    checked.check(rivals);
    for (const key of rivals.slice(0, 24)) checked.remove(key);
    checked.check(rivals);
    for (const key of rivals) checked.add(key);
    checked.check(rivals);
    for (const key of rivals.toReversed()) checked.remove(key);
    checked.check(rivals);
  });

  it("tells keys apart whose hashes are equal", () => {
    const [base, other] = ["x".repeat(1000), `${"x".repeat(998)}yx`] as const;
    expect(hashOf(other)).toBe(hashOf(base));
    const checked = new Checked();
    checked.add(base);
    checked.check([base, other]);
    checked.add(other);
    checked.check([base, other]);
    checked.remove(base);
    checked.check([base, other]);
  });
});

describe("the hash of a key", () => {
  it("depends on each character", () => {
    const key = "/registry/pods/default/some-name";
    const hashes = new Set([hashOf(key)]);
    for (let at = 0; at < key.length; at++) hashes.add(hashOf(`${key.slice(0, at)}~${key.slice(at + 1)}`));
    expect(hashes.size).toBe(key.length + 1);
  });
});

/** Keys that belong into one place of a shard that is not very large. */
function rivalsOf(count: number): string[] {
  const rivals: string[] = [];
  for (let number = 0; rivals.length < count; number++) {
    const hash = hashOf(`key ${number}`);
    if (hash >>> 24 === 7 && (hash & 127) === 5) rivals.push(`key ${number}`);
  }
  return rivals;
}
