import { describe, expect, test } from "vitest";
import { entersJoint, leavesJoint, toConfChangeV2 } from "./conf-change.js";
import { decodeConfChange, decodeConfChangeV2, encodeConfChange, encodeConfChangeV2 } from "./conf-change-codec.js";
import { SeededRandom } from "./testing/random.js";

const high = 0xffff_ffff_ffff_ffffn;

describe("configuration changes", () => {
  test("the first kind", () => {
    const change = { id: high, type: 3, nodeId: 0x8e9e05c52164694dn, context: Uint8Array.of(1, 2) } as const;
    const bytes = encodeConfChange(change);
    expect(decodeConfChange(bytes)).toEqual(change);
    expect([...bytes.subarray(0, 3)]).toEqual([8, 255, 255]);
    expect(encodeConfChange({ id: 0n, type: 0, nodeId: 0n, context: undefined })).toHaveLength(0);
  });

  test("the second kind", () => {
    const changes = [
      { type: 0, nodeId: 300n },
      { type: 1, nodeId: high },
      { type: 0, nodeId: 0n },
    ] as const;
    const change = { transition: 2, changes, context: new Uint8Array(200) } as const;
    expect(decodeConfChangeV2(encodeConfChangeV2(change))).toEqual(change);
  });

  test("no data is an empty change", () => {
    expect(decodeConfChange(undefined)).toEqual({ id: 0n, type: 0, nodeId: 0n, context: undefined });
    expect(decodeConfChangeV2(new Uint8Array(0))).toEqual({ transition: 0, changes: [], context: undefined });
  });

  test("unknown fields of every wire type are skipped", () => {
    const extra = [0x78, 0x85, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 2, 9, 9, 0x7d, 1, 2, 3, 4];
    expect(decodeConfChange(Uint8Array.of(...extra, 0x18, 7))?.nodeId).toBe(7n);
  });

  test.each([
    ["a cut varint", [0x18, 0x80]],
    ["a varint above 64 bits", [0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]],
    ["a varint of 11 bytes", [0x18, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0]],
    ["a length beyond the end", [0x22, 5, 1]],
    ["a cut fixed field", [0x79, 1]],
    ["a group", [0x0b]],
    ["field 0", [0x00, 0]],
    ["an unknown type", [0x10, 4]],
  ])("%s is malformed", (_name, bytes) => expect(decodeConfChange(Uint8Array.from(bytes))).toBeUndefined());

  test("malformed parts of the second kind", () => {
    expect(decodeConfChangeV2(Uint8Array.of(8, 3))).toBeUndefined();
    expect(decodeConfChangeV2(Uint8Array.of(0x12, 2, 8, 4))).toBeUndefined();
    expect(decodeConfChangeV2(Uint8Array.of(0x12, 1, 8))).toBeUndefined();
  });

  test("random bytes are decoded or refused, and never more than they say", () => {
    const random = new SeededRandom(1);
    for (let i = 0; i < 20_000; i++) {
      const bytes = Uint8Array.from({ length: random.integer(20) }, () => random.integer(256));
      const change = decodeConfChangeV2(bytes);
      if (change !== undefined) expect(decodeConfChangeV2(encodeConfChangeV2(change))).toEqual(change);
    }
  });
});

test("what changes ask for", () => {
  const v2 = toConfChangeV2({ id: 5n, type: 1, nodeId: 2n, context: undefined });
  expect(v2).toEqual({ transition: 0, changes: [{ type: 1, nodeId: 2n }], context: undefined });
  expect(entersJoint(v2)).toEqual({ joint: false, autoLeave: false });
  expect(entersJoint({ ...v2, changes: [...v2.changes, ...v2.changes] })).toEqual({ joint: true, autoLeave: true });
  expect(entersJoint({ ...v2, transition: 1 })).toEqual({ joint: true, autoLeave: true });
  expect(entersJoint({ ...v2, transition: 2 })).toEqual({ joint: true, autoLeave: false });
  expect(leavesJoint({ ...v2, changes: [] })).toBe(true);
  expect(leavesJoint({ ...v2, changes: [], transition: 2 })).toBe(false);
});
