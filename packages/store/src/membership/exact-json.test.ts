import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonSyntaxError, parseExact, stringifyExact } from "./exact-json.js";

describe("exact JSON", () => {
  it("keeps every digit of 64-bit numbers", () => {
    const text = '{"id":18446744073709551615,"low":-9223372036854775808,"small":1}';
    const value = parseExact(text);
    expect(value).toMatchObject({ id: 2n ** 64n - 1n, low: -(2n ** 63n), small: 1n });
    expect(stringifyExact(value)).toBe(text);
  });

  it("escapes what Go escapes", () => {
    expect(stringifyExact('<a&b>\u2028\u2029\n"\\é')).toBe('"\\u003ca\\u0026b\\u003e\\u2028\\u2029\\n\\"\\\\é"');
  });

  it("leaves out fields that are undefined", () => {
    expect(stringifyExact({ a: undefined, b: null, c: [] })).toBe('{"b":null,"c":[]}');
  });

  it("reads back any value", () => {
    const leaf = fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
      fc.string(),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("value")), fc.dictionary(fc.string(), tie("value"))),
    }));
    fc.assert(
      fc.property(value, (any) => {
        const text = stringifyExact(any as never);
        expect(stringifyExact(parseExact(text))).toBe(text);
        // Numbers apart, it is what the built-in reader reads.
        if (!/[0-9]/.test(text)) expect(parseExact(text)).toEqual(JSON.parse(text));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("agrees with the built-in reader on what is JSON", () => {
    const fragments = [
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"a"',
      '"',
      "1",
      "-",
      "0",
      ".5",
      "e3",
      "true",
      "null",
      " ",
      "\n",
      "\\u00e9",
      "x",
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...fragments), { maxLength: 8 }), (parts) => {
        const text = parts.join("");
        expect(outcome(() => parseExact(text))).toBe(outcome(() => JSON.parse(text)));
      }),
      { seed: 1, numRuns: 5_000 },
    );
  });

  it("refuses absurd depth and absurd numbers", () => {
    expect(() => parseExact("[".repeat(100_000))).toThrow(JsonSyntaxError);
    expect(() => parseExact("1".repeat(1_000_000))).toThrow(JsonSyntaxError);
    expect(parseExact(`${"[".repeat(32)}${"]".repeat(32)}`)).toBeDefined();
  });

  it("treats __proto__ as a name like any other", () => {
    const text = '{"__proto__":{"a":1}}';
    expect(stringifyExact(parseExact(text))).toBe(text);
  });
});

function outcome(read: () => unknown): string {
  try {
    read();
    return "read";
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof JsonSyntaxError) return "refused";
    throw error;
  }
}
