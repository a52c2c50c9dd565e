/** Transactions that only read: not proposed, but executed on this member's state. */

import type { TxnRequest } from "@etcd-ts/api/etcdserverpb";
import { assert } from "../assert.js";
import type { Mvcc } from "../mvcc/mvcc.js";
import type { SlicedRead } from "../mvcc/sliced-read.js";
import { isReadOnlyTxn, txnTask } from "./execute-txn.js";
import type { Refused, TxnResult } from "./outcome.js";

const noLeases = { exists: () => false };

/** Executes a transaction for which `isReadOnlyTxn` holds, in slices, on the store as it is now. */
export function startReadTxn(mvcc: Mvcc, request: TxnRequest): SlicedRead<TxnResult | Refused> {
  assert(isReadOnlyTxn(request), "a transaction that writes is proposed");
  return mvcc.startRead((before, budget) =>
    txnTask(request, { before, leases: noLeases, begin: undefined, wantsResult: true, budget }),
  );
}
