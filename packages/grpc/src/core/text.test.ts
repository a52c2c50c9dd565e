import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { base64Decode, base64Encode, percentDecode, percentEncode, utf8Bytes, utf8String } from "./text.js";
import { decodeTimeout, encodeTimeout } from "./timeout.js";

describe("text", () => {
  it("codes UTF-8 as TextEncoder and TextDecoder do", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 50 }), (text) => {
        expect(Uint8Array.from(utf8Bytes(text))).toEqual(new TextEncoder().encode(text));
        expect(utf8String(new TextEncoder().encode(text))).toBe(
          new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text)),
        );
      }),
    );
  });

  it("replaces each byte that is no UTF-8", () => {
    expect(utf8String([0x61, 0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xe2, 0x82])).toBe(
      "a\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd",
    );
  });

  it("codes base64 as Node does, padded or not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const padded = Buffer.from(bytes).toString("base64");
        expect(base64Encode(bytes)).toBe(padded.replaceAll("=", ""));
        expect(base64Decode(padded)).toEqual(bytes);
        expect(base64Decode(base64Encode(bytes))).toEqual(bytes);
      }),
    );
    expect(base64Decode("a")).toBeUndefined();
    expect(base64Decode("ab!d")).toBeUndefined();
  });

  it("percent-encodes status messages", () => {
    expect(percentEncode("etcdserver: no leader")).toBe("etcdserver: no leader");
    expect(percentEncode("50% of \u00fc\n")).toBe("50%25 of %C3%BC%0A");
    expect(percentDecode("50%25 of %C3%BC%0a")).toBe("50% of \u00fc\n");
    expect(percentDecode("%zz%")).toBe("%zz%");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const encoded = percentEncode(text);
        expect(encoded).toMatch(/^[ -~]*$/);
        expect(percentDecode(encoded)).toBe(new TextDecoder().decode(new TextEncoder().encode(text)));
      }),
    );
  });
});

describe("grpc-timeout", () => {
  it.each([
    ["1S", 1000],
    ["100m", 100],
    ["2H", 7_200_000],
    ["3M", 180_000],
    ["1500u", 1.5],
    ["0n", 0],
    ["99999999H", 99_999_999 * 3_600_000],
  ])("reads %s", (text, ms) => {
    expect(decodeTimeout(text)).toBeCloseTo(ms, 9);
  });

  it.each([
    ["", 'transport: timeout string is too short: ""'],
    ["S", 'transport: timeout string is too short: "S"'],
    ["123456789S", 'transport: timeout string is too long: "123456789S"'],
    ["12x", 'transport: timeout unit is not recognized: "12x"'],
    ["-1S", 'strconv.ParseUint: parsing "-1": invalid syntax'],
  ])("refuses %j", (text, why) => {
    expect(decodeTimeout(text)).toBe(why);
  });

  it("writes what it reads, never less", () => {
    expect(encodeTimeout(0)).toBe("0n");
    expect(encodeTimeout(5000)).toBe("5000000u");
    expect(encodeTimeout(1e15)).toBe("99999999H");
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 3e14, noNaN: true }), (ms) => {
        const text = encodeTimeout(ms);
        expect(text.length).toBeLessThanOrEqual(9);
        const back = decodeTimeout(text) as number;
        expect(back).toBeGreaterThanOrEqual(ms * (1 - 1e-12));
        expect(back).toBeLessThanOrEqual(ms * 1.0001 + 1e-6);
      }),
    );
  });
});
