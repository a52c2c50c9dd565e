/**
 * Raft depends on nothing, so that it has its own codec for configuration changes and its own sizes of entries. They
 * must agree with the generated codecs of package raftpb, and its data must be what those encode and decode.
 */

import * as raftpb from "@etcd-ts/api/raftpb";
import * as raft from "@etcd-ts/raft";
import { SeededRandom } from "@etcd-ts/raft/testing";
import { describe, expect, test } from "vitest";

const random = new SeededRandom(20261123);
const integers = [0, 1, 127, 128, 16_383, 16_384, 2 ** 28, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 35 - 1, 2 ** 53 - 1];
const ids = [0n, 1n, 127n, 128n, 0x8e9e05c52164694dn, 2n ** 63n, 2n ** 64n - 1n];
const data = () => random.pick([undefined, new Uint8Array(0), new Uint8Array(5).fill(7), new Uint8Array(300).fill(1)]);

function encoded<T>(
  message: T,
  size: (message: T) => number,
  encode: (m: T, b: Uint8Array, at: number) => number,
): Uint8Array {
  const bytes = new Uint8Array(size(message));
  expect(encode(message, bytes, 0)).toBe(bytes.length);
  return bytes;
}

describe("entries", () => {
  test("have the size that their encoding has", () => {
    for (let i = 0; i < 5_000; i++) {
      const type = random.pick(Object.values(raft.EntryType));
      const entry: raft.Entry = { type, term: random.pick(integers), index: random.pick(integers), data: data() };
      expect(raft.entrySize(entry)).toBe(raftpb.sizeEntry(entry));
      expect(raftpb.decodeEntry(encoded(entry, raftpb.sizeEntry, raftpb.encodeEntry))).toEqual(entry);
    }
  });
});

describe("configuration changes", () => {
  test("of the first kind", () => {
    for (let i = 0; i < 2_000; i++) {
      const type = random.pick(Object.values(raft.ConfChangeType));
      const change: raft.ConfChange = { id: random.pick(ids), type, nodeId: random.pick(ids), context: data() };
      const theirs = encoded(change, raftpb.sizeConfChange, raftpb.encodeConfChange);
      expect(raft.decodeConfChange(theirs)).toEqual(change);
      expect(raftpb.decodeConfChange(raft.encodeConfChange(change))).toEqual(change);
    }
  });

  test("of the second kind", () => {
    for (let i = 0; i < 2_000; i++) {
      const change: raft.ConfChangeV2 = {
        transition: random.pick(Object.values(raft.ConfChangeTransition)),
        changes: Array.from({ length: random.integer(4) }, () => ({
          type: random.pick(Object.values(raft.ConfChangeType)),
          nodeId: random.pick(ids),
        })),
        context: data(),
      };
      const theirs = encoded(change, raftpb.sizeConfChangeV2, raftpb.encodeConfChangeV2);
      expect(raft.decodeConfChangeV2(theirs)).toEqual(change);
      expect(raftpb.decodeConfChangeV2(raft.encodeConfChangeV2(change))).toEqual(change);
    }
  });

  test("are written alike", () => {
    const change: raft.ConfChange = { id: 7n, type: 3, nodeId: 2n ** 64n - 1n, context: Uint8Array.of(1) };
    expect(raft.encodeConfChange(change)).toEqual(encoded(change, raftpb.sizeConfChange, raftpb.encodeConfChange));
  });
});

describe("messages", () => {
  test("survive the wire", () => {
    const confState = { voters: ids.slice(1), learners: [9n], votersOutgoing: [1n], learnersNext: [], autoLeave: true };
    for (let i = 0; i < 2_000; i++) {
      const number = () => random.pick(integers);
      const message = raft.createMessage({
        type: random.pick(Object.values(raft.MessageType)),
        to: random.pick(ids),
        from: random.pick(ids),
        term: number(),
        logTerm: number(),
        index: number(),
        entries: Array.from({ length: random.integer(3) }, () => ({
          type: 0,
          term: number(),
          index: number(),
          data: data(),
        })),
        commit: number(),
        snapshot: random.chance(0.2)
          ? { data: data(), metadata: { confState, index: number(), term: number() } }
          : undefined,
        reject: random.chance(0.5),
        rejectHint: number(),
        context: data(),
        vote: random.pick(ids),
      });
      const bytes = encoded(message, raftpb.sizeMessage, raftpb.encodeMessage);
      expect(raft.messageFromWire(raftpb.decodeMessage(bytes))).toEqual(message);
    }
  });

  test("types have the same numbers", () => {
    const names = (type: object) => Object.values(type).sort((a, b) => a - b);
    expect(names(raft.MessageType)).toEqual(Array.from({ length: 24 }, (_, i) => i));
    expect(raft.describeMessageType(raft.MessageType.forgetLeader)).toBe("MsgForgetLeader");
  });
});
