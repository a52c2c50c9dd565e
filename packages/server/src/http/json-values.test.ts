import fc from "fast-check";
import { expect, test } from "vitest";
import { JsonValueSplitter } from "./json-values.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The values found in a text that arrives in pieces of `size` bytes, the rest last. */
function split(text: string, size = text.length, valueBytesMax = 1000): readonly string[] {
  const splitter = new JsonValueSplitter(valueBytesMax);
  const bytes = encoder.encode(text);
  const values: string[] = [];
  for (let start = 0; start < bytes.length; start += size) {
    if (!splitter.push(bytes.subarray(start, start + size))) return [...values, "too long"];
    for (let value = splitter.next(); value !== undefined; value = splitter.next()) values.push(decoder.decode(value));
  }
  const rest = splitter.rest();
  return rest === undefined ? values : [...values, decoder.decode(rest)];
}

test.each([
  ["", []],
  [" \n\t ", []],
  ['{"a":1}', ['{"a":1}']],
  ['{"a":1}{"b":2}', ['{"a":1}', '{"b":2}']],
  ['{"a":1}\n{"b":2}\n', ['{"a":1}', '{"b":2}']],
  ['{"a":"}{\\"\\\\"} [1,[2]]', ['{"a":"}{\\"\\\\"}', "[1,[2]]"]],
  ['{"a":{"b":{}}}', ['{"a":{"b":{}}}']],
  ["x", ["x"]],
  ["12 34{", ["12", "34", "{"]],
  ['null"a""b"', ["null", '"a"', '"b"']],
  ["}{}", ["}", "{}"]],
  ['{"é":"ü"}{}', ['{"é":"ü"}', "{}"]],
])("%j", (text, values) => {
  for (const size of [1, 2, 3, 100]) expect(split(text, size)).toEqual(values);
});

test("values come out as they went in, however they are cut", () => {
  const value = fc.oneof(fc.object(), fc.array(fc.jsonValue()), fc.string());
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 5 }),
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom("", " ", "\n"),
      (values, size, between) => {
        const texts = values.map((item) => JSON.stringify(item));
        expect(split(texts.join(between), size, 1e6)).toEqual(texts);
      },
    ),
  );
});

test("a value that is too long is refused, many short ones are not", () => {
  expect(split(`{"a":"${"x".repeat(30)}"}`, 5, 20)).toEqual(["too long"]);
  expect(split("{} ".repeat(30), 5, 20)).toHaveLength(30);
});
