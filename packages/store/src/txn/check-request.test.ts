import { kv, messageBytes } from "@etcd-ts/api";
import {
  createDeleteRangeRequest,
  createPutRequest,
  createRangeRequest,
  createTxnRequest,
  decodeTxnRequest,
  type RequestOpInit,
  type TxnRequestInit,
} from "@etcd-ts/api/etcdserverpb";
import { describe, expect, test } from "vitest";
import { bytes } from "../testing/store-fixture.js";
import { checkDeleteRange, checkPut, checkRange, checkTxn } from "./check-request.js";

const put = (key: string): RequestOpInit => ({ request: { kind: "requestPut", value: { key: bytes(key) } } });
const del = (key: string, end = ""): RequestOpInit => ({
  request: { kind: "requestDeleteRange", value: { key: bytes(key), rangeEnd: bytes(end) } },
});
const range = (key: string): RequestOpInit => ({ request: { kind: "requestRange", value: { key: bytes(key) } } });
const nested = (success: RequestOpInit[], failure: RequestOpInit[] = []): RequestOpInit => ({
  request: { kind: "requestTxn", value: { success, failure } },
});

function check(init: TxnRequestInit, opsMax = 128): string | undefined {
  const target = messageBytes(kv.txn.request, init);
  return checkTxn(decodeTxnRequest(target), opsMax);
}

test("ranges", () => {
  expect(checkRange(createRangeRequest({}))).toBe("emptyKey");
  expect(checkRange(createRangeRequest({ key: bytes("a"), sortOrder: 3 as 0 }))).toBe("invalidSortOption");
  expect(checkRange(createRangeRequest({ key: bytes("a"), sortTarget: 5 as 0 }))).toBe("invalidSortOption");
  expect(checkRange(createRangeRequest({ key: bytes("a"), sortTarget: -1 as 0 }))).toBe("invalidSortOption");
  expect(
    checkRange(createRangeRequest({ key: bytes("a"), limit: -1, revision: -1, sortTarget: 4, sortOrder: 2 })),
  ).toBeUndefined();
});

test("puts", () => {
  expect(checkPut(createPutRequest({}))).toBe("emptyKey");
  expect(checkPut(createPutRequest({ key: bytes("a"), value: bytes("1"), ignoreValue: true }))).toBe("valueProvided");
  expect(checkPut(createPutRequest({ key: bytes("a"), lease: 1n, ignoreLease: true }))).toBe("leaseProvided");
  expect(checkPut(createPutRequest({ key: bytes("a"), ignoreLease: true, ignoreValue: true }))).toBeUndefined();
});

test("deletes", () => {
  expect(checkDeleteRange(createDeleteRangeRequest({}))).toBe("emptyKey");
  expect(checkDeleteRange(createDeleteRangeRequest({ key: bytes("a") }))).toBeUndefined();
});

describe("transactions", () => {
  test("an empty one is valid", () => {
    expect(checkTxn(createTxnRequest(), 128)).toBeUndefined();
  });

  test("the longest of comparisons and branches counts; a nested one has what is left", () => {
    const many = Array.from({ length: 3 }, (_, at) => range(`k${at}`));
    expect(check({ success: many }, 3)).toBeUndefined();
    expect(check({ success: many }, 2)).toBe("tooManyOps");
    expect(check({ failure: many }, 2)).toBe("tooManyOps");
    expect(check({ compare: [{ key: bytes("a") }, { key: bytes("a") }] }, 1)).toBe("tooManyOps");
    expect(check({ success: [nested(many)] }, 4)).toBeUndefined();
    expect(check({ success: [nested(many)] }, 3)).toBe("tooManyOps");
  });

  test("operations and comparisons are checked one by one", () => {
    expect(check({ compare: [{}] })).toBe("emptyKey");
    expect(check({ success: [put("")] })).toBe("emptyKey");
    expect(check({ failure: [range("")] })).toBe("emptyKey");
    expect(check({ success: [nested([del("")])] })).toBe("emptyKey");
    expect(check({ success: [{}] })).toBe("keyNotFound");
  });

  test.each<[string, RequestOpInit[], string | undefined]>([
    ["two puts of a key", [put("a"), put("a")], "duplicateKey"],
    ["puts of two keys", [put("a"), put("b")], undefined],
    ["put and delete of a key", [put("a"), del("a")], "duplicateKey"],
    ["delete before put", [del("a"), put("a")], "duplicateKey"],
    ["put inside a deleted range", [put("b"), del("a", "c")], "duplicateKey"],
    ["put at the end of a deleted range", [put("c"), del("a", "c")], undefined],
    ["overlapping deletes", [del("a", "c"), del("b", "d"), del("b")], undefined],
    ["ranges overlap anything", [range("a"), put("a"), range("a")], undefined],
    ["an inverted range covers nothing", [del("b", "a"), put("b"), put("a")], undefined],
    ["an empty range covers nothing, not even its key", [del("b", "b"), put("b")], undefined],
    ["the zero byte is taken literally", [del("a", "\0"), put("b")], undefined],
    ["a nested put and a put", [nested([put("a")]), put("a")], "duplicateKey"],
    ["a nested put and a delete here", [nested([put("a")]), del("a")], "duplicateKey"],
    ["a nested delete and a put here", [nested([del("a")]), put("a")], "duplicateKey"],
    ["puts of one key in both branches of a nested one", [nested([put("a")], [put("a")])], undefined],
    ["puts of one key in two nested ones", [nested([put("a")]), nested([], [put("a")])], "duplicateKey"],
    ["a nested delete before a nested put", [nested([del("a")]), nested([put("a")])], "duplicateKey"],
    ["a nested put before a nested delete is not noticed", [nested([put("a")]), nested([del("a")])], undefined],
    ["deep inside", [nested([nested([put("a"), put("a")])])], "duplicateKey"],
  ])("%s", (_name, ops, expected) => {
    expect(check({ success: ops })).toBe(expected);
    expect(check({ failure: ops })).toBe(expected);
  });

  test("the two branches do not conflict with each other", () => {
    expect(check({ success: [put("a")], failure: [put("a"), range("a")] })).toBeUndefined();
  });
});
