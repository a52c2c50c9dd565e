import { expect, test } from "vitest";
import { readApplied } from "./apply/applied.js";
import { MemoryBackend } from "./memory-backend.js";
import { encodeRevisionKey } from "./mvcc/revision-key.js";
import { backendContract } from "./testing/backend-contract.js";

backendContract("memory", () => {
  const backend = new MemoryBackend({ commitOperations: Number.POSITIVE_INFINITY });
  return {
    backend,
    commit: () => backend.commit(),
    crash: () => {
      backend.crash();
      return backend;
    },
    close: () => undefined,
  };
});

test("a commit in the middle of an entry of many rows", () => {
  const backend = new MemoryBackend({ commitOperations: Number.POSITIVE_INFINITY });
  backend.putRecord(2, 0, false, new Uint8Array(1));
  backend.sealEntry(1, 1);
  for (let sub = 0; sub < 200_000; sub++) backend.putRecord(3, sub, true, new Uint8Array(1));
  backend.commit();
  expect(backend.get("key", encodeRevisionKey(3, 199_999, true))).toBeDefined();
  backend.crash();
  expect(backend.get("key", encodeRevisionKey(3, 0, true))).toBeUndefined();
  expect(backend.getRecord(2, 0)).toBeDefined();
  expect(readApplied(backend)).toEqual({ index: 1, term: 1 });
});

test("commits by itself after as many operations as it was told", () => {
  const backend = new MemoryBackend({ commitOperations: 3 });
  for (let index = 1; index <= 4; index++) {
    backend.putRecord(index + 1, 0, false, new Uint8Array(1));
    backend.sealEntry(index, 1);
  }
  backend.crash();
  expect(readApplied(backend).index).toBe(3);
});
