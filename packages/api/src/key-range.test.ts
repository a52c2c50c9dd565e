import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesFromLatin1, compareBytes, latin1FromBytes } from "./bytes.js";
import { isEmptyRange, keyRange, latin1Range, nextKey, prefixRangeEnd, rangeContains, zeroByte } from "./key-range.js";

const key = (text: string): Uint8Array => bytesFromLatin1(text);
const anyKey = fc.uint8Array({ maxLength: 3, max: 3 });

describe("keyRange", () => {
  it.each([
    ["b", "", ["b"]],
    ["b", "d", ["b", "b\0", "c"]],
    ["b", "\0", ["b", "b\0", "c", "d", "\u00ff"]],
    ["\0", "\0", ["\0", "a", "b", "b\0", "c", "d", "\u00ff"]],
    ["d", "b", []],
    ["b", "b", []],
  ])("of %j and %j holds %j", (from, end, expected) => {
    const range = keyRange(key(from), key(end));
    const text = latin1Range(from, end);
    const keys = ["\0", "a", "b", "b\0", "c", "d", "\u00ff"];
    expect(keys.filter((k) => rangeContains(range, key(k)))).toEqual(expected);
    expect(keys.filter((k) => text.lo <= k && (text.hi === undefined || k < text.hi))).toEqual(expected);
    expect(isEmptyRange(range)).toBe(expected.length === 0);
  });
});

describe("prefixRangeEnd", () => {
  it("bounds exactly the keys with the prefix", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3, min: 253 }), fc.uint8Array({ maxLength: 4, min: 253 }), (prefix, k) => {
        fc.pre(k.length > 0);
        const first = prefix.length === 0 ? zeroByte : prefix;
        const inside = rangeContains(keyRange(first, prefixRangeEnd(prefix)), k);
        expect(inside).toBe(latin1FromBytes(k).startsWith(latin1FromBytes(prefix)));
      }),
      { numRuns: 2000 },
    );
  });

  it("does not change the prefix", () => {
    const prefix = key("ab");
    expect(prefixRangeEnd(prefix)).toEqual(key("ac"));
    expect(prefix).toEqual(key("ab"));
  });
});

it("nextKey is the smallest key above", () => {
  fc.assert(
    fc.property(anyKey, anyKey, (a, b) => {
      const next = nextKey(a);
      expect(compareBytes(a, next)).toBeLessThan(0);
      expect(compareBytes(a, b) < 0 && compareBytes(b, next) < 0).toBe(false);
    }),
  );
});
