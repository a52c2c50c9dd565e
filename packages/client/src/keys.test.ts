import { describe, expect, it } from "vitest";
import { parseEndpoint } from "./endpoint.js";
import { toBytes, wireRange } from "./keys.js";

describe("wireRange", () => {
  it.each([
    ["one key", "a", {}, [97], []],
    ["a prefix", "ab", { prefix: true }, [97, 98], [97, 99]],
    ["the empty prefix", "", { prefix: true }, [0], [0]],
    ["a prefix without successor", new Uint8Array([255]), { prefix: true }, [255], [0]],
    ["all from a key", "a", { fromKey: true }, [97], [0]],
    ["all from the empty key", "", { fromKey: true }, [0], [0]],
    ["an explicit end", "a", { rangeEnd: "c" }, [97], [99]],
  ])("%s", (_name, key, options, start, end) => {
    const range = wireRange(key, options);
    expect([[...range.key], [...range.rangeEnd]]).toEqual([start, end]);
  });

  it("takes one kind of range only", () => {
    expect(() => wireRange("a", { prefix: true, fromKey: true })).toThrow(RangeError);
  });

  it("leaves a Buffer as it was", () => {
    const key = Buffer.from("ab");
    expect([...wireRange(key, { prefix: true }).rangeEnd]).toEqual([97, 99]);
    expect(key.toString()).toBe("ab");
    expect(Buffer.isBuffer(toBytes(key))).toBe(false);
  });
});

describe("parseEndpoint", () => {
  it.each([
    ["127.0.0.1:2379", { host: "127.0.0.1", port: 2379 }, undefined],
    ["localhost", { host: "localhost", port: 2379 }, undefined],
    ["localhost:80", { host: "localhost", port: 80 }, undefined],
    ["http://h:1", { host: "h", port: 1 }, false],
    ["https://h:1/", { host: "h", port: 1 }, true],
    ["https://[::1]:5", { host: "::1", port: 5 }, true],
    ["unix:///tmp/s", { path: "/tmp/s" }, false],
    ["unixs://s", { path: "s" }, true],
  ])("%s", (text, target, secure) => {
    expect(parseEndpoint(text)).toEqual({ text, target, secure });
  });

  it.each(["", "ftp://h:1", "h:99999", "a b:1", "unix://"])("refuses %j", (text) => {
    expect(() => parseEndpoint(text)).toThrow(TypeError);
  });
});
