import { kv, messageBytes } from "@etcd-ts/api";
import {
  type CompareInit,
  createTxnRequest,
  decodeTxnRequest,
  type RequestOpInit,
  type TxnRequestInit,
} from "@etcd-ts/api/etcdserverpb";
import { expect, test } from "vitest";
import { Budget, runToEnd } from "../mvcc/budget.js";
import { bytes, StoreFixture } from "../testing/store-fixture.js";
import { runSmallTxn, txnTask } from "./execute-txn.js";

/** True whatever the store holds, and one more than a small transaction may have. */
const idle: CompareInit[] = Array.from({ length: 9 }, () => ({
  key: bytes("a"),
  target: 0,
  result: 1,
  targetUnion: { kind: "version", value: -1 },
}));

test("a transaction that is run at once has the result it has as a task", () => {
  let state = 5;
  const random = (bound: number): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * bound);
  };
  const key = (): Uint8Array => bytes("abcd"[random(4)] ?? "");
  const compare = (): CompareInit => {
    const target = random(5) as 0 | 1 | 2 | 3 | 4;
    const operands = [
      { kind: "version", value: random(4) },
      { kind: "createRevision", value: random(40) },
      { kind: "modRevision", value: random(40) },
      { kind: "value", value: bytes(String(random(3))) },
      { kind: "lease", value: BigInt(random(2)) },
    ] as const;
    return { key: key(), target, result: random(4) as 0 | 1 | 2 | 3, targetUnion: operands[target] };
  };
  const op = (): RequestOpInit => {
    switch (random(3)) {
      case 0: {
        const keeps = random(8) === 0;
        const value = bytes(keeps ? "" : String(random(3)));
        return {
          request: { kind: "requestPut", value: { key: key(), value, prevKv: random(2) === 0, ignoreValue: keeps } },
        };
      }
      case 1:
        return { request: { kind: "requestDeleteRange", value: { key: key(), prevKv: random(2) === 0 } } };
      default:
        return { request: { kind: "requestRange", value: { key: key(), revision: random(6) === 0 ? random(60) : 0 } } };
    }
  };
  const some = <T>(make: () => T): T[] => Array.from({ length: random(4) }, make);
  const small = new StoreFixture();
  const large = new StoreFixture();
  const kinds = new Set<string>();
  for (let n = 0; n < 600; n++) {
    const txn: TxnRequestInit = { compare: some(compare), success: some(op), failure: some(op) };
    const outcome = small.apply({ txn });
    expect(outcome).toEqual(large.apply({ txn: { ...txn, compare: [...(txn.compare ?? []), ...idle] } }));
    kinds.add(outcome.kind === "txn" ? `txn ${outcome.succeeded}` : outcome.kind);
  }
  expect(small.hash()).toBe(large.hash());
  expect([...kinds].sort()).toEqual(["refused", "txn false", "txn true"]);
});

test("what touches more than few single keys is left to the task", () => {
  const store = new StoreFixture();
  const run = (init: TxnRequestInit): unknown => {
    const target = messageBytes(kv.txn.request, init);
    const ports = {
      before: store.mvcc.view(),
      leases: { exists: () => false },
      begin: undefined,
      wantsResult: true,
      budget: new Budget(Number.POSITIVE_INFINITY),
    };
    const result = runSmallTxn(decodeTxnRequest(target), ports);
    if (result !== undefined) expect(result).toEqual(runToEnd(txnTask(createTxnRequest(init), ports)));
    return result?.kind;
  };
  const range = (more: object): RequestOpInit => ({
    request: { kind: "requestRange", value: { key: bytes("a"), ...more } },
  });
  expect(run({ success: [range({})] })).toBe("txn");
  expect(run({ success: [range({ rangeEnd: bytes("b") })] })).toBeUndefined();
  expect(run({ failure: [range({ keysOnly: true })] })).toBeUndefined();
  expect(run({ failure: [range({ minModRevision: 1 })] })).toBeUndefined();
  expect(run({ compare: [{ key: bytes("a"), rangeEnd: bytes("b") }] })).toBeUndefined();
  expect(run({ compare: idle })).toBeUndefined();
  expect(run({ success: [{ request: { kind: "requestTxn", value: {} } }] })).toBeUndefined();
  expect(
    run({ success: [{ request: { kind: "requestDeleteRange", value: { key: bytes("a"), rangeEnd: bytes("b") } } }] }),
  ).toBeUndefined();
});
