import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { durationError, formatDuration, parseBool, parseDuration, parseInteger } from "./go-values.js";

describe("durations", () => {
  test.each([
    ["0", 0],
    ["0s", 0],
    ["300ms", 300],
    ["-1.5h", -5_400_000],
    ["2h45m", 9_900_000],
    [".5s", 500],
    ["1.s", 1000],
    ["1us", 0.001],
    ["1µs", 0.001],
    ["1ns", 0.000001],
    ["+5s", 5000],
    ["1.5h3m2s4ms5us6ns", 5_582_004.005006],
  ])("%s", (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 9);
  });

  test.each(["", "5", "-", "s", ".s", "1x", "1h ", " 1h", "1h-1m", "9999999999h", "1e3s", "00"])(
    "%j is none",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test("errors are Go's", () => {
    expect(durationError("foo")).toBe('time: invalid duration "foo"');
    expect(durationError("-1")).toBe('time: missing unit in duration "-1"');
  });

  test.each([
    [0, "0s"],
    [100, "100ms"],
    [1000, "1s"],
    [1500, "1.5s"],
    [60_000, "1m0s"],
    [7_200_000, "2h0m0s"],
    [-1.5, "-1.5ms"],
    [0.0015, "1.5µs"],
    [0.000001, "1ns"],
  ])("%d ms prints as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("what is printed is read back", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (microseconds) => {
        const ms = microseconds / 1000;
        expect(parseDuration(formatDuration(ms))).toBeCloseTo(ms, 6);
      }),
    );
  });
});

describe("integers", () => {
  const uint = { lo: 0n, hi: 2n ** 64n - 1n };
  const int = { lo: -(2n ** 63n), hi: 2n ** 63n - 1n };

  test.each([
    ["0", 0],
    ["0x1F", 31],
    ["0b11", 3],
    ["0o17", 15],
    ["017", 15],
    ["1_000", 1000],
    ["18446744073709551615", Number.MAX_SAFE_INTEGER],
  ])("%s is %d", (text, value) => {
    expect(parseInteger(text, uint)).toEqual({ kind: "integer", value });
  });

  test.each(["", "0x", "1__0", "_1", "abc", "1.5", "-1", "+1", "08"])("%j is no unsigned integer", (text) => {
    expect(parseInteger(text, uint)).toEqual({ kind: "syntax" });
  });

  test("signs and ranges", () => {
    expect(parseInteger("-5", int)).toEqual({ kind: "integer", value: -5 });
    expect(parseInteger("99999999999999999999", uint)).toEqual({ kind: "range" });
    expect(parseInteger("4294967296", { lo: 0n, hi: 4294967295n })).toEqual({ kind: "range" });
  });
});

test("booleans", () => {
  expect(["1", "t", "T", "TRUE", "true", "True"].map(parseBool)).toEqual(Array(6).fill(true));
  expect(["0", "f", "F", "FALSE", "false", "False"].map(parseBool)).toEqual(Array(6).fill(false));
  expect(["yes", "", "tRUE"].map(parseBool)).toEqual([undefined, undefined, undefined]);
});
