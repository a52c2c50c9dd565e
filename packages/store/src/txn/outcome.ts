/**
 * What the operations on keys result in. A refusal is a value: the store never throws on input.
 */

import type { Reason } from "@etcd-ts/api";
import type { RangeResult } from "../mvcc/range.js";
import type { DeleteResult } from "../mvcc/write-txn.js";

export interface Refused {
  readonly kind: "refused";
  readonly reason: Reason;
}

export interface PutResult {
  readonly kind: "put";
  /** Header revision. */
  readonly revision: number;
  /**
   * The previous record as the encoded `prev_kv` field of PutResponse; undefined when there is none or it was not asked
   * for.
   */
  readonly prevKv: Uint8Array | undefined;
}

export interface TxnResult {
  readonly kind: "txn";
  /** Header revision; a nested transaction's header has none. */
  readonly revision: number;
  readonly succeeded: boolean;
  /** One for each operation of the branch that ran. */
  readonly responses: readonly OpResult[];
}

export type OpResult = RangeResult | PutResult | DeleteResult | TxnResult;
