import { describe, expect, it } from "vitest";
import { messageDescriptors } from "./gen/descriptors.js";
import {
  createInternalRaftRequest,
  decodeInternalRaftRequest,
  encodeInternalRaftRequest,
  encodePutRequest,
  type InternalRaftRequestInit,
  sizeInternalRaftRequest,
  sizePutRequest,
} from "./gen/etcdserverpb.js";
import {
  encodeInternalRequest,
  InternalField,
  InternalRequestSpan,
  scanInternalRequest,
  sizeInternalRequest,
} from "./internal-raft-request.js";
import { messageBytes } from "./message-bytes.js";
import { wasCanonical } from "./wire-reader.js";

const header = { id: 2n ** 63n + 5n, username: "root", authRevision: 9 };
const put = { key: Uint8Array.of(1, 2), value: new Uint8Array(200), lease: 3n };

function bytesOf(message: InternalRaftRequestInit): Uint8Array {
  return messageBytes({ size: sizeInternalRaftRequest, encode: encodeInternalRaftRequest }, message);
}

function scan(bytes: Uint8Array): InternalRequestSpan {
  const span = new InternalRequestSpan();
  scanInternalRequest(bytes, 0, bytes.length, span);
  return span;
}

describe("InternalField", () => {
  it("lists the requests of the message, all of them", () => {
    const fields = messageDescriptors["etcdserverpb.InternalRaftRequest"] ?? [];
    const requests = fields.filter((field) => field.kind === "message" && field.name !== "header");
    expect(InternalField).toEqual(Object.fromEntries(requests.map((field) => [field.property, field.number])));
  });
});

describe("encodeInternalRequest", () => {
  it("writes the bytes the message's own encoder writes", () => {
    const size = sizePutRequest(put);
    const bytes = new Uint8Array(sizeInternalRequest(InternalField.put, size, header) + 3);
    const at = encodeInternalRequest(InternalField.put, size, header, bytes, 3);
    encodePutRequest(put, bytes, at);
    expect(bytes.subarray(3)).toEqual(bytesOf({ header, put }));
  });

  it("does so for high field numbers and empty requests", () => {
    const bytes = new Uint8Array(sizeInternalRequest(InternalField.authRoleList, 0, { id: 1n }));
    encodeInternalRequest(InternalField.authRoleList, 0, { id: 1n }, bytes, 0);
    expect(bytes).toEqual(bytesOf({ header: { id: 1n }, authRoleList: {} }));
  });
});

describe("scanInternalRequest", () => {
  it("finds request, id and user", () => {
    const bytes = bytesOf({ header, put });
    const span = scan(bytes);
    expect(span).toMatchObject({ id: header.id, username: "root", authRevision: 9, field: InternalField.put });
    expect(decodeInternalRaftRequest(bytes).put).toMatchObject({ lease: 3n });
    expect(bytes.subarray(span.start, span.end).length).toBe(sizePutRequest(put));
    expect(wasCanonical()).toBe(true);
  });

  it("prefers the message's own id, wherever it stands", () => {
    expect(scan(bytesOf({ id: 7n, header, put })).id).toBe(7n);
    const reordered = Uint8Array.from([...bytesOf({ header, put }), ...bytesOf({ id: 7n })]);
    expect(scan(reordered).id).toBe(7n);
  });

  it("leaves nothing of the message before", () => {
    const span = scan(bytesOf({ header, put }));
    scanInternalRequest(new Uint8Array(0), 0, 0, span);
    expect(span).toEqual(new InternalRequestSpan());
  });

  it("passes over fields it does not know", () => {
    const span = scan(Uint8Array.from([0x12, 0x01, 0x00, ...bytesOf({ header, compaction: { revision: 4 } })]));
    expect(span.field).toBe(InternalField.compaction);
    expect(wasCanonical()).toBe(false);
  });

  it("takes the lowest number of several requests, in whatever order they stand", () => {
    const [range, compaction] = [bytesOf({ range: { limit: 1 } }), bytesOf({ compaction: { revision: 4 } })];
    for (const bytes of [Uint8Array.from([...range, ...compaction]), Uint8Array.from([...compaction, ...range])]) {
      expect(scan(bytes).field).toBe(InternalField.range);
      expect(wasCanonical()).toBe(false);
    }
  });

  it("agrees with the whole decoder for every request", () => {
    for (const [name, field] of Object.entries(InternalField)) {
      const span = scan(bytesOf(createInternalRaftRequest({ header, [name]: {} })));
      expect(span.field).toBe(field);
      expect(span.start).toBe(span.end);
    }
  });
});
