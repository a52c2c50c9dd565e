import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeBase64, encodeBase64 } from "./base64.js";

it("writes padded standard base64", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
    }),
  );
});

it("reads both alphabets, padded or not", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const standard = Buffer.from(bytes).toString("base64");
      for (const text of [standard, standard.replace(/=+$/, ""), Buffer.from(bytes).toString("base64url")]) {
        expect(decodeBase64(text)).toEqual(bytes);
      }
    }),
  );
});

// What the gateway of Go etcd 3.7.3 answered for these as keys.
it.each([
  ["", ""],
  ["YQ", "a"],
  ["YQ\n", "a"],
  ["YQ=\n=", undefined],
  ["YQ==", "a"],
  ["YR==", "a"],
  ["YWE=", "aa"],
  ["YQ\r\n", undefined],
  ["YWE\n", undefined],
  ["YWE=\n", undefined],
  ["YQ=", undefined],
  ["YQ=====", undefined],
  ["YQ==YQ==", undefined],
  ["====", undefined],
  ["=", undefined],
  ["Y", undefined],
  ["Y Q", undefined],
  ["-_+/", undefined],
  ["!", undefined],
  ["é", undefined],
])("reads %j as %j", (text, expected) => {
  expect(decodeBase64(text)).toEqual(expected === undefined ? undefined : new TextEncoder().encode(expected));
});
