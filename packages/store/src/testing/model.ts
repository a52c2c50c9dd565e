/**
 * A naive model of the key-value store: a list of every row ever written. It answers by searching the whole list and
 * serves as the oracle of the property tests. Requests are described in strings, so it shares no code with the store.
 */

export interface Row {
  readonly main: number;
  readonly sub: number;
  readonly key: string;
  readonly tombstone: boolean;
  readonly created: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
}

export interface ModelRange {
  readonly key: string;
  readonly end: string;
  readonly limit: number;
  readonly revision: number;
  readonly order: number;
  readonly target: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minMod: number;
  readonly maxMod: number;
  readonly minCreate: number;
  readonly maxCreate: number;
}

export interface ModelCompare {
  readonly key: string;
  readonly end: string;
  /** EQUAL, GREATER, LESS, NOT_EQUAL. */
  readonly result: number;
  /** VERSION, CREATE, MOD, VALUE, LEASE. */
  readonly target: number;
  readonly operand: number | string;
}

export interface ModelPut {
  readonly key: string;
  readonly value: string;
  readonly lease: bigint;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
  readonly prevKv: boolean;
}

export interface ModelDelete {
  readonly key: string;
  readonly end: string;
  readonly prevKv: boolean;
}

export type ModelOp =
  | { readonly kind: "range"; readonly range: ModelRange }
  | { readonly kind: "put"; readonly put: ModelPut }
  | { readonly kind: "delete"; readonly delete: ModelDelete }
  | { readonly kind: "txn"; readonly txn: ModelTxn };

export interface ModelTxn {
  readonly compare: readonly ModelCompare[];
  readonly success: readonly ModelOp[];
  readonly failure: readonly ModelOp[];
}

/** An answer as text: comparing texts is comparing answers. */
export type Answer = string;

export class Model {
  rows: Row[] = [];
  current = 1;
  compacted = -1;
  leases = new Set<bigint>();
  /** Key → lease. */
  attached = new Map<string, bigint>();
  #changes = 0;

  clone(): Model {
    const copy = new Model();
    copy.rows = [...this.rows];
    copy.current = this.current;
    copy.compacted = this.compacted;
    copy.leases = new Set(this.leases);
    copy.attached = new Map(this.attached);
    return copy;
  }

  range(range: ModelRange): Answer {
    return this.#range(range, this.current);
  }

  put(put: ModelPut): Answer {
    const refusal = this.#refusePut(put, []);
    if (refusal !== undefined) return refusal;
    return this.#transact(() => this.#put(put));
  }

  delete(request: ModelDelete): Answer {
    return this.#transact(() => this.#delete(request));
  }

  txn(txn: ModelTxn): Answer {
    const path = this.#choose(txn);
    const refusal = this.#refuse(path, []);
    if (refusal !== undefined) return refusal;
    return this.#transact(() => this.#execute(path, true));
  }

  grant(id: bigint): Answer {
    if (this.leases.has(id)) return "leaseExist";
    this.leases.add(id);
    return "granted";
  }

  revoke(id: bigint): Answer {
    if (!this.leases.has(id)) return "leaseNotFound";
    return this.#transact(() => {
      const keys = [...this.attached].filter(([, lease]) => lease === id).map(([key]) => key);
      for (const key of keys.sort()) this.#deleteKey(key);
      this.leases.delete(id);
      return `revoked at ${this.#visible}`;
    });
  }

  compact(revision: number): Answer {
    if (revision <= this.compacted) return "compacted";
    if (revision > this.current) return "futureRev";
    this.compacted = revision;
    this.rows = this.rows.filter((row) => row.main > revision || this.#isKeptBy(row, revision));
    return "done";
  }

  /** Rows that a hash at `revision` takes, as the store's rows are described. */
  hashed(revision: number): Row[] | string {
    if (revision > 0 && revision < this.compacted) return "compacted";
    if (revision > this.current) return "futureRev";
    const at = revision === 0 ? this.current : revision;
    const kept = new Set(this.#live("", undefined, at));
    return this.rows.filter((row) => {
      if (row.main > at) return false;
      if (row.main <= this.compacted && kept.size > 0 && !kept.has(row)) return false;
      return !(row.main === this.compacted && row.tombstone);
    });
  }

  /** Kept by a compaction: live at the revision, a tombstone exactly there, or what follows such a tombstone there. */
  #isKeptBy(row: Row, revision: number): boolean {
    if (!row.tombstone && this.#at(row.key, revision) === row) return true;
    return this.rows.some(
      (other) =>
        other.tombstone &&
        other.key === row.key &&
        other.main === revision &&
        row.main === revision &&
        other.sub <= row.sub,
    );
  }

  /** The newest row of `key` at or below `revision`, tombstones included. */
  #at(key: string, revision: number): Row | undefined {
    return this.rows.findLast((row) => row.key === key && row.main <= revision);
  }

  #live(lo: string, hi: string | undefined, revision: number): Row[] {
    const newest = new Map<string, Row>();
    for (const row of this.rows) {
      if (row.main <= revision && row.key >= lo && (hi === undefined || row.key < hi)) newest.set(row.key, row);
    }
    return [...newest.values()].filter((row) => !row.tombstone).sort((left, right) => (left.key < right.key ? -1 : 1));
  }

  #interval(key: string, end: string): [string, string | undefined] {
    if (end === "") return [key, `${key}\0`];
    return [key, end === "\0" ? undefined : end];
  }

  #range(range: ModelRange, current: number): Answer {
    if (range.revision > current) return "futureRev";
    const at = range.revision <= 0 ? current : range.revision;
    if (at < this.compacted) return "compacted";
    const [lo, hi] = this.#interval(range.key, range.end);
    const live = this.#live(lo, hi, at);
    if (range.countOnly) return answer(current, live.length, false, []);
    const filtered = [range.minMod, range.maxMod, range.minCreate, range.maxCreate].some((bound) => bound !== 0);
    const isDefault = range.order === 0 || (range.target === 0 && range.order === 1);
    let rows = isDefault && !filtered && range.limit > 0 ? live.slice(0, range.limit + 1) : live;
    if (range.maxMod !== 0) rows = rows.filter((row) => row.main <= range.maxMod);
    if (range.minMod !== 0) rows = rows.filter((row) => row.main >= range.minMod);
    if (range.maxCreate !== 0) rows = rows.filter((row) => row.created <= range.maxCreate);
    if (range.minCreate !== 0) rows = rows.filter((row) => row.created >= range.minCreate);
    rows = sortRows(rows, range.target, range.target !== 0 && range.order === 0 ? 1 : range.order);
    const more = range.limit > 0 && rows.length > range.limit;
    if (more) rows = rows.slice(0, range.limit);
    const shown = rows.map((row) => {
      if (!range.keysOnly) return row;
      return { ...row, value: "", lease: range.target === 4 ? row.lease : 0n };
    });
    return answer(current, live.length, more, shown);
  }

  /** The revision that reads inside the running transaction see. */
  get #visible(): number {
    return this.current + (this.#changes > 0 ? 1 : 0);
  }

  #transact(run: () => Answer): Answer {
    this.#changes = 0;
    const result = run();
    this.current = this.#visible;
    this.#changes = 0;
    return result;
  }

  #refusePut(put: ModelPut, deleted: readonly ModelDelete[]): string | undefined {
    if (put.lease !== 0n && !this.leases.has(put.lease)) return "leaseNotFound";
    if (!put.ignoreValue && !put.ignoreLease) return undefined;
    const row = this.#at(put.key, this.current);
    const gone = deleted.some(({ key, end }) => {
      const [lo, hi] = this.#interval(key, end);
      return put.key >= lo && (hi === undefined || put.key < hi);
    });
    return row === undefined || row.tombstone || gone ? "keyNotFound" : undefined;
  }

  #put(put: ModelPut): Answer {
    const main = this.current + 1;
    const found = this.#at(put.key, main);
    const previous = found?.tombstone === false ? found : undefined;
    const value = put.ignoreValue ? (previous?.value ?? "") : put.value;
    const lease = put.ignoreLease ? (previous?.lease ?? 0n) : put.lease;
    const created = previous?.created ?? main;
    const version = (previous?.version ?? 0) + 1;
    this.rows.push({ main, sub: this.#changes++, key: put.key, tombstone: false, created, version, value, lease });
    if (lease === 0n) this.attached.delete(put.key);
    else this.attached.set(put.key, lease);
    return `put ${main} prev ${put.prevKv && previous !== undefined ? describe(previous) : "none"}`;
  }

  #delete(request: ModelDelete): Answer {
    const [lo, hi] = this.#interval(request.key, request.end);
    const live = this.#live(lo, hi, this.#visible);
    for (const row of live) this.#deleteKey(row.key);
    return `deleted ${live.length} at ${this.#visible} prev ${request.prevKv ? live.map(describe).join(";") : ""}`;
  }

  #deleteKey(key: string): void {
    const main = this.current + 1;
    this.rows.push({ main, sub: this.#changes++, key, tombstone: true, created: 0, version: 0, value: "", lease: 0n });
    this.attached.delete(key);
  }

  #holds(compare: ModelCompare): boolean {
    const [lo, hi] = this.#interval(compare.key, compare.end);
    const live = this.#live(lo, hi, this.current);
    if (live.length === 0) return compare.target !== 3 && this.#compareOne(compare, undefined);
    return live.every((row) => this.#compareOne(compare, row));
  }

  #compareOne(compare: ModelCompare, row: Row | undefined): boolean {
    const fields = [row?.version ?? 0, row?.created ?? 0, row?.main ?? 0, row?.value ?? "", Number(row?.lease ?? 0n)];
    const field = fields[compare.target] ?? 0;
    const sign = field < compare.operand ? -1 : field > compare.operand ? 1 : 0;
    return [sign === 0, sign > 0, sign < 0, sign !== 0][compare.result] ?? true;
  }

  #choose(txn: ModelTxn): Path {
    const succeeded = txn.compare.every((compare) => this.#holds(compare));
    const ops = (succeeded ? txn.success : txn.failure).map((op) => (op.kind === "txn" ? this.#choose(op.txn) : op));
    return { succeeded, ops };
  }

  #refuse(path: Path, deleted: ModelDelete[]): string | undefined {
    for (const op of path.ops) {
      let refusal: string | undefined;
      if ("ops" in op) refusal = this.#refuse(op, deleted);
      else if (op.kind === "put") refusal = this.#refusePut(op.put, deleted);
      else if (op.kind === "delete") deleted.push(op.delete);
      else if (op.kind === "range" && op.range.revision !== 0) {
        if (op.range.revision > this.current) refusal = "futureRev";
        else if (op.range.revision < this.compacted) refusal = "compacted";
      }
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #execute(path: Path, outer: boolean): Answer {
    const answers = path.ops.map((op) => {
      if ("ops" in op) return this.#execute(op, false);
      if (op.kind === "put") return this.#put(op.put);
      if (op.kind === "delete") return this.#delete(op.delete);
      return op.kind === "range" ? this.#range(op.range, this.#visible) : "";
    });
    return `txn ${outer ? this.#visible : 0} ${path.succeeded} [${answers.join(" | ")}]`;
  }
}

interface Path {
  readonly succeeded: boolean;
  readonly ops: readonly (ModelOp | Path)[];
}

export function describe(row: Pick<Row, "key" | "created" | "main" | "version" | "value" | "lease">): string {
  return `${JSON.stringify(row.key)} c${row.created} m${row.main} v${row.version} ${JSON.stringify(row.value)} l${row.lease}`;
}

export function answer(
  revision: number,
  count: number,
  more: boolean,
  rows: readonly Parameters<typeof describe>[0][],
): Answer {
  return `range ${revision} count ${count} more ${more} ${rows.map(describe).join(";")}`;
}

function sortRows(rows: readonly Row[], target: number, order: number): Row[] {
  if (order === 0) return [...rows];
  const fieldOf = (row: Row): number | string => [row.key, row.version, row.created, row.main, row.value][target] ?? 0;
  const sign = order === 2 ? -1 : 1;
  return [...rows].sort((left, right) => {
    const [a, b] = [fieldOf(left), fieldOf(right)];
    return a < b ? -sign : a > b ? sign : 0;
  });
}
