import { describe, expect, it } from "vitest";
import { formatDuration, hexEscaped, humanBytes, parseDurationMs, parseInt64, parseUint64, quote } from "./go-text.js";

describe("Go's text", () => {
  it.each([
    ["plain", '"plain"'],
    ['a"b\\', '"a\\"b\\\\"'],
    ["\n\t\x00\x7f", '"\\n\\t\\x00\\x7f"'],
    ["välue ✓ 😀", '"välue ✓ 😀"'],
    ["\u00a0\u200b", '"\\u00a0\\u200b"'],
  ])("quotes %j", (text, quoted) => {
    expect(quote(text)).toBe(quoted);
  });

  it("quotes bytes that are not UTF-8", () => {
    expect(quote(Uint8Array.of(0x61, 0xff, 0xc3, 0xa4, 0xed, 0xa0, 0x80))).toBe('"a\\xffä\\xed\\xa0\\x80"');
    expect(hexEscaped(Uint8Array.of(0x61, 0))).toBe("\\x61\\x00");
  });

  it.each([
    ["2s", 2000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["300ms", 300],
    ["-1s", -1000],
    ["0", 0],
  ])("reads the duration %s", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(["", "x", "5", "1s2", "s"])("refuses the duration %j", (text) => {
    expect(() => parseDurationMs(text)).toThrow(SyntaxError);
  });

  it.each([
    [0, "0s"],
    [3.032674, "3.032674ms"],
    [0.0035, "3.5µs"],
    [1500, "1.5s"],
    [90_000, "1m30s"],
    [3_600_000, "1h0m0s"],
  ])("prints %d ms", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [9, "9 B"],
    [20_480, "20 kB"],
    [16_384, "16 kB"],
    [8_192, "8.2 kB"],
    [2_147_483_648, "2.1 GB"],
  ])("prints %d bytes", (size, text) => {
    expect(humanBytes(size)).toBe(text);
  });

  it("reads integers of 64 bits and no others", () => {
    expect(parseInt64("-9223372036854775808")).toBe(-(2n ** 63n));
    expect(parseInt64("1f", 16)).toBe(31n);
    expect(() => parseInt64("9223372036854775808")).toThrow("value out of range");
    expect(() => parseInt64("zz", 16)).toThrow('strconv.ParseInt: parsing "zz": invalid syntax');
    expect(parseUint64("ffffffffffffffff", 16)).toBe(2n ** 64n - 1n);
    expect(() => parseUint64("-1")).toThrow('strconv.ParseUint: parsing "-1": invalid syntax');
  });
});
