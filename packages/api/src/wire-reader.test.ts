import { describe, expect, it } from "vitest";
import { DecodeError, type DecodeErrorCode } from "./decode-error.js";
import {
  createTxnRequest,
  decodeAuthUserAddRequest,
  decodeCompare,
  decodeHashKVResponse,
  decodePutRequest,
  decodeRangeRequest,
  decodeRequestHeader,
  decodeTxnRequest,
  decodeWatchCreateRequest,
  encodeTxnRequest,
  PutRequestSpans,
  scanPutRequest,
  sizeTxnRequest,
  type TxnRequestInit,
} from "./gen/etcdserverpb.js";
import { decodeEvent } from "./gen/mvccpb.js";
import { decodeConfState, decodeEntry, decodeMessage, EntrySpans, scanEntry } from "./gen/raftpb.js";
import { messageBytes } from "./message-bytes.js";
import { nestingDepthMax, wasCanonical } from "./wire-reader.js";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/ /g, ""), "hex"));

function errorOf(read: () => unknown): { code: DecodeErrorCode; offset: number } | "none" {
  try {
    read();
  } catch (error) {
    if (error instanceof DecodeError) return { code: error.code, offset: error.offset };
    throw error;
  }
  return "none";
}

describe("what is refused", () => {
  // PutRequest: key = 1, value = 2, lease = 3; AuthUserAddRequest: name = 1, options = 3.
  it.each<[string, string, DecodeErrorCode, number]>([
    ["a length beyond the end", "0a 05 61", "truncated", 1],
    ["a length of 2^32", "0a 8080808010", "truncated", 1],
    ["a length of 2^63", "0a ffffffffffffffff7f", "truncated", 1],
    ["a missing length", "0a", "truncated", 1],
    ["a cut length", "0a 80", "truncated", 2],
    ["a cut varint", "18 80", "truncated", 2],
    ["a missing varint", "18", "truncated", 1],
    ["a cut tag", "80", "truncated", 1],
    ["a varint of eleven bytes", "18 ffffffffffffffffffff01", "badVarint", 10],
    ["a varint of more than 64 bits", "18 ffffffffffffffffff02", "badVarint", 10],
    ["field number 0", "00 00", "badTag", 1],
    ["a field number of 2^29", "808080808001 00", "badTag", 0],
    ["wire type 6", "0e", "badTag", 1],
    ["wire type 7", "0f", "badTag", 1],
    ["the end of a group that did not begin", "0c", "badGroup", 1],
    ["a group ended by another's end", "0b 14", "badGroup", 2],
    ["a group without end", "0b", "truncated", 1],
    ["a cut fixed64", "41 0000000000", "truncated", 6],
    ["a cut fixed32", "45 000000", "truncated", 4],
  ])("%s", (_, bytes, code, offset) => {
    expect(errorOf(() => decodePutRequest(hex(bytes)))).toEqual({ code, offset });
    const spans = new PutRequestSpans();
    expect(errorOf(() => scanPutRequest(hex(bytes), 0, hex(bytes).length, spans))).toEqual({ code, offset });
  });

  it("text that is not UTF-8", () => {
    expect(errorOf(() => decodeAuthUserAddRequest(hex("0a 02 c328")))).toEqual({ code: "badUtf8", offset: 2 });
  });

  it("a part that reaches beyond its message, although bytes follow", () => {
    // options = 3 of one byte: the tag of a bool whose value would lie outside.
    expect(errorOf(() => decodeAuthUserAddRequest(hex("1a 01 08 12 00")))).toEqual({ code: "truncated", offset: 3 });
    expect(errorOf(() => decodePutRequest(hex("0a 03 616263"), 0, 4))).toEqual({ code: "truncated", offset: 1 });
  });

  it("indexes above 2^53 − 1", () => {
    expect(decodeEntry(hex("18 ffffffffffffff0f")).index).toBe(Number.MAX_SAFE_INTEGER);
    expect(errorOf(() => decodeEntry(hex("18 8080808080808010")))).toEqual({ code: "outOfRange", offset: 1 });
    expect(errorOf(() => decodeRequestHeader(hex("18 ffffffffffffffffff01")))).toEqual({
      code: "outOfRange",
      offset: 1,
    });
  });

  it("nesting beyond the limit, which is far from the end of the stack", () => {
    const nested = (levels: number): Uint8Array => {
      let message: TxnRequestInit = {};
      for (let i = 1; i < levels; i += 2) message = { success: [{ request: { kind: "requestTxn", value: message } }] };
      return messageBytes({ size: sizeTxnRequest, encode: encodeTxnRequest }, message);
    };
    const deepest = nested(nestingDepthMax - 1);
    expect(wasDecoded(deepest)).toBe(true);
    expect(errorOf(() => decodeTxnRequest(nested(nestingDepthMax + 1)))).toMatchObject({ code: "tooDeep" });
    // The same from deep within a program.
    const fromDeep = (frames: number): boolean => (frames === 0 ? wasDecoded(deepest) : fromDeep(frames - 1));
    expect(fromDeep(1000)).toBe(true);
  });

  it("groups nested beyond the limit, without recursion", () => {
    const groups = new Uint8Array(100_000).fill(0x0b);
    expect(errorOf(() => decodePutRequest(groups))).toMatchObject({ code: "tooDeep" });
  });
});

function wasDecoded(bytes: Uint8Array): boolean {
  return createTxnRequest(decodeTxnRequest(bytes)).success.length === 1;
}

describe("wasCanonical", () => {
  it.each([
    ["an empty message", "", true],
    ["key and value", "0a 01 61 12 01 62", true],
    ["another order", "12 01 62 0a 01 61", true],
    ["a lease with all bits", "18 ffffffffffffffffff01", true],
    ["a zero that could be absent", "18 00", true],
    ["an unknown field", "0a 01 61 40 01", false],
    ["a known number with another wire type", "08 01", false],
    ["a field twice", "0a 01 61 0a 01 61", false],
    ["a long varint", "18 8100", false],
    ["a long varint of five bytes", "18 8180808000", false],
    ["a long tag", "9800 01", false],
    ["a long length", "0a 8100 61", false],
    ["a long length of three bytes", "0a 818000 61", false],
    ["a bool of 2", "20 02", false],
    ["a bool beyond 32 bits", "20 8080808010", false],
  ])("%s: %s → %s", (_, bytes, expected) => {
    decodePutRequest(hex(bytes));
    expect(wasCanonical()).toBe(expected);
    scanPutRequest(hex(bytes), 0, hex(bytes).length, new PutRequestSpans());
    expect(wasCanonical()).toBe(expected);
  });

  it("looks into parts of the message", () => {
    decodeTxnRequest(hex("12 05 12 03 0a 01 61"));
    expect(wasCanonical()).toBe(true);
    decodeTxnRequest(hex("12 08 12 06 0a 01 61 0a 01 61"));
    expect(wasCanonical()).toBe(false);
  });

  it("is not moved by repeated fields", () => {
    decodeTxnRequest(hex("12 05 12 03 0a 01 61 12 05 12 03 0a 01 61"));
    expect(wasCanonical()).toBe(true);
  });

  it("minds a oneof set twice, a uint32 of 33 bits and an enum of 33 bits", () => {
    decodeCompare(hex("20 01"));
    expect(wasCanonical()).toBe(true);
    decodeCompare(hex("20 01 28 01"));
    expect(wasCanonical()).toBe(false);
    decodeHashKVResponse(hex("10 ffffffff0f"));
    expect(wasCanonical()).toBe(true);
    decodeHashKVResponse(hex("10 ffffffff1f"));
    expect(wasCanonical()).toBe(false);
    decodeCompare(hex("08 ffffffffffffffffff01"));
    expect(wasCanonical()).toBe(true);
    decodeCompare(hex("08 ffffffff0f"));
    expect(wasCanonical()).toBe(false);
  });

  it("begins anew with each message", () => {
    decodePutRequest(hex("40 01"));
    decodePutRequest(hex(""));
    expect(wasCanonical()).toBe(true);
  });
});

describe("values", () => {
  it("saturates compared int64 at ±2^53", () => {
    const limit = (bytes: string): number => decodeRangeRequest(hex(`18 ${bytes}`)).limit;
    expect(limit("ffffffffffffff0f")).toBe(2 ** 53 - 1);
    expect(limit("8080808080808010")).toBe(2 ** 53);
    expect(limit("8180808080808010")).toBe(2 ** 53);
    expect(limit("ffffffffffffffff7f")).toBe(2 ** 53);
    expect(limit("ffffffffffffffffff01")).toBe(-1);
    expect(limit("80808080808080808001")).toBe(-(2 ** 53));
    expect(limit("ffffffffffffffefff01")).toBe(-(2 ** 53));
    expect(limit("80808080808080f0ff01")).toBe(-(2 ** 53));
    expect(limit("81808080808080f0ff01")).toBe(-(2 ** 53) + 1);
  });

  it("keeps ids exact", () => {
    expect(decodePutRequest(hex("18 ffffffffffffffff7f")).lease).toBe(2n ** 63n - 1n);
    expect(decodePutRequest(hex("18 80808080808080808001")).lease).toBe(-(2n ** 63n));
    expect(decodeRequestHeader(hex("08 ffffffffffffffffff01")).id).toBe(2n ** 64n - 1n);
  });

  it("keeps unknown enum numbers", () => {
    expect(decodeEvent(hex("08 4d")).type).toBe(77);
    expect(decodeEvent(hex("08 ffffffffffffffffff01")).type).toBe(-1);
  });

  it("hands out views, of a Buffer also", () => {
    for (const bytes of [hex("0a 02 6162"), Buffer.from("0a026162", "hex")]) {
      const { key } = decodePutRequest(bytes);
      expect(key.constructor).toBe(Uint8Array);
      expect(key.buffer).toBe(bytes.buffer);
      bytes[2] = 0x7a;
      expect([...key]).toEqual([0x7a, 0x62]);
    }
  });

  it("reads lists packed, one by one, or both", () => {
    expect(decodeConfState(hex("08 01 08 ac02")).voters).toEqual([1n, 300n]);
    expect(decodeConfState(hex("0a 03 01 ac02")).voters).toEqual([1n, 300n]);
    expect(decodeConfState(hex("08 01 0a 02 0203")).voters).toEqual([1n, 2n, 3n]);
    expect(decodeWatchCreateRequest(hex("28 01 28 00")).filters).toEqual([1, 0]);
    expect(errorOf(() => decodeConfState(hex("0a 02 01 80 08 01")))).toMatchObject({ code: "truncated" });
  });

  it("tells absent from empty where it matters", () => {
    expect(decodeEntry(hex("")).data).toBeUndefined();
    expect(decodeEntry(hex("22 00")).data).toEqual(new Uint8Array(0));
    expect(decodeEntry(hex("10 01 18 02"))).toEqual({ type: 0, term: 1, index: 2, data: undefined });
    expect(decodeMessage(hex("")).snapshot).toBeUndefined();
  });

  it("says where byte fields lie", () => {
    const put = new PutRequestSpans();
    scanPutRequest(hex("ff 0a 02 6162 12 01 63 18 07 28 01 ff"), 1, 12, put);
    expect({ ...put }).toEqual({
      keyStart: 3,
      keyEnd: 5,
      valueStart: 7,
      valueEnd: 8,
      lease: 7n,
      prevKv: false,
      ignoreValue: true,
      ignoreLease: false,
    });
    const entry = new EntrySpans();
    scanEntry(hex("10 01 22 00"), 0, 4, entry);
    expect(entry).toMatchObject({ dataStart: 4, dataEnd: 4, term: 1 });
    scanEntry(hex("10 01"), 0, 2, entry);
    expect(entry).toMatchObject({ dataStart: -1, dataEnd: -1, term: 1, index: 0 });
  });
});

describe("a message field that comes twice", () => {
  it("is merged", () => {
    // Event: kv = 2 { key = 1 } twice, the second with mod_revision = 3.
    const event = decodeEvent(hex("12 03 0a 01 61 08 01 12 02 18 05"));
    expect(event.type).toBe(1);
    expect(event.kv).toMatchObject({ key: hex("61"), modRevision: 5 });
    expect(wasCanonical()).toBe(false);
  });

  it("is merged within a oneof, unless another member came between", () => {
    const put = (bytes: string): unknown => decodeTxnRequest(hex(bytes)).success[0]?.request;
    expect(put("12 0a 12 03 0a 01 61 12 03 12 01 62")).toMatchObject({
      kind: "requestPut",
      value: { key: hex("61"), value: hex("62") },
    });
    expect(put("12 0c 12 03 0a 01 61 0a 00 12 03 12 01 62")).toMatchObject({
      kind: "requestPut",
      value: { key: hex(""), value: hex("62") },
    });
    expect(put("12 07 12 03 0a 01 61 0a 00")).toMatchObject({ kind: "requestRange" });
  });

  it("is refused when one of them is cut, even where the next would complete it", () => {
    expect(errorOf(() => decodeEvent(hex("12 02 0a 02 12 02 61 62")))).toMatchObject({ code: "truncated" });
    expect(errorOf(() => decodeEvent(hex("12 00 12 02 0a 02 12 02 61 62")))).toMatchObject({ code: "truncated" });
  });

  it("costs no more at every level of nesting", () => {
    // RequestOp { request_txn { success { … } } request_txn {} }: were the first read before the second is seen, each
    // level would double the work.
    const nested = (levels: number, core: Uint8Array): Uint8Array => {
      let body = core;
      for (let i = 0; i < levels; i++) body = field(0x12, Uint8Array.from([...field(0x22, body), 0x22, 0x00]));
      return body;
    };
    expect(decodeTxnRequest(nested(300, new Uint8Array(0))).success.length).toBe(1);
    expect(wasCanonical()).toBe(false);
    // A large message that would have to be copied at every level is refused.
    expect(errorOf(() => decodeTxnRequest(nested(100, field(0x7a, new Uint8Array(400_000)))))).toMatchObject({
      code: "tooDeep",
    });
  });

  it("is refused when what a oneof held before is damaged", () => {
    expect(errorOf(() => decodeTxnRequest(hex("12 06 12 02 0a 05 0a 00")))).toMatchObject({ code: "truncated" });
  });

  it("takes time in proportion to the message", () => {
    // 400 000 times the same empty part, and as many parts that each hold one.
    const bytes = new Uint8Array(800_000);
    for (let i = 0; i < bytes.length; i += 2) bytes[i] = 0x12;
    expect(decodeEvent(bytes).kv).toMatchObject({ version: 0 });
  });
});

/** A length-prefixed field whose tag is one byte. */
function field(tag: number, body: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = body.length;
  for (; rest >= 0x80; rest >>= 7) length.push((rest & 0x7f) | 0x80);
  const bytes = new Uint8Array(1 + length.length + 1 + body.length);
  bytes.set([tag, ...length, rest]);
  bytes.set(body, 1 + length.length + 1);
  return bytes;
}
