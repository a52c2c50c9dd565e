/** Records of a log written by Go etcd 3.7.3: what it writes and leaves out, we write and leave out. */

import { expect, it } from "vitest";
import {
  decodeInternalRaftRequest,
  decodeMetadata,
  encodeInternalRaftRequest,
  encodeMetadata,
  sizeInternalRaftRequest,
  sizeMetadata,
} from "./gen/etcdserverpb.js";
import {
  decodeConfChange,
  decodeEntry,
  decodeHardState,
  encodeConfChange,
  encodeEntry,
  encodeHardState,
  sizeConfChange,
  sizeEntry,
  sizeHardState,
} from "./gen/raftpb.js";
import { decodeRecord, decodeSnapshot, encodeRecord, encodeSnapshot, sizeRecord, sizeSnapshot } from "./gen/walpb.js";

interface Functions<M> {
  readonly decode: (bytes: Uint8Array) => M;
  readonly size: (message: M) => number;
  readonly encode: (message: M, target: Uint8Array, offset: number) => number;
}

/** Reads a record and writes it again. */
function rewriter<M>({ decode, size, encode }: Functions<M>): (hex: string) => string {
  return (hex) => {
    const message = decode(new Uint8Array(Buffer.from(hex, "hex")));
    const bytes = new Uint8Array(size(message));
    encode(message, bytes, 0);
    return Buffer.from(bytes).toString("hex");
  };
}

const metadata = rewriter({ decode: decodeMetadata, size: sizeMetadata, encode: encodeMetadata });
const record = rewriter({ decode: decodeRecord, size: sizeRecord, encode: encodeRecord });
const snapshot = rewriter({ decode: decodeSnapshot, size: sizeSnapshot, encode: encodeSnapshot });
const hardState = rewriter({ decode: decodeHardState, size: sizeHardState, encode: encodeHardState });
const entry = rewriter({ decode: decodeEntry, size: sizeEntry, encode: encodeEntry });
const confChange = rewriter({ decode: decodeConfChange, size: sizeConfChange, encode: encodeConfChange });
const request = rewriter({
  decode: decodeInternalRaftRequest,
  size: sizeInternalRaftRequest,
  encode: encodeInternalRaftRequest,
});

it.each<[string, (hex: string) => string, string]>([
  ["a checksum record of 0", record, "08041000"],
  ["metadata", metadata, "0895de86a3af8da99f9f0110aea48a90a8c2e293fe01"],
  ["the empty snapshot", snapshot, "08001000"],
  ["the first hard state, no vote", hardState, "080110001801"],
  ["a hard state", hardState, "08021095de86a3af8da99f9f011803"],
  ["a leader's first entry, no data", entry, "10021802"],
  ["a normal entry", entry, "10021805221a220a0a03666f6f1203626172a2060b0883c482a2fcc0e88aaf01"],
  ["a member's first conf change", confChange, "10001895de86a3af8da99f9f0122027b7d"],
  ["a put", request, "220a0a03666f6f1203626172a2060b0883c482a2fcc0e88aaf01"],
  ["a cluster version", request, "a2060b0882c482a2fcc0e88aaf01a251070a05332e372e30"],
  ["a transaction", request, "321a0a0708011a0161200012050a030a0161120812060a0161120132a2060b0893c482a2fcc0e88aaf01"],
])("%s", (_, rewrite, hex) => {
  expect(rewrite(hex)).toBe(hex);
});

it("reads what 3.6 and older write: every scalar, also zero", () => {
  // Test vector of an entry of 3.4: type 0, term 1, index 1 and data.
  const old = decodeEntry(new Uint8Array(Buffer.from("08001001180122017a", "hex")));
  expect(old).toEqual({ type: 0, term: 1, index: 1, data: Uint8Array.of(0x7a) });
  const state = decodeHardState(new Uint8Array(Buffer.from("080110001801", "hex")));
  expect(state).toEqual({ term: 1, vote: 0n, commit: 1 });
});
