/**
 * The header of watch responses, encoded: all responses of one revision share it. Source: etcdserverpb.ResponseHeader.
 */

import { sizeVarint, sizeVarint64, writeVarint, writeVarint64 } from "../mvcc/record.js";

/** Field `header` of a response for a revision (0 = none), with tag and length; a view valid until the next call. */
export interface HeaderFields {
  field(revision: number): Uint8Array;
}

const headerTag = 0x0a;

/** Headers of one member. `raftTerm` is asked at each call. */
export class ResponseHeaders implements HeaderFields {
  readonly #ids: Uint8Array;
  readonly #raftTerm: () => number;
  #revision = -1;
  #term = -1;
  #field: Uint8Array = new Uint8Array(0);

  constructor(options: { clusterId: bigint; memberId: bigint; raftTerm: () => number }) {
    this.#ids = encodeIds(options.clusterId, options.memberId);
    this.#raftTerm = options.raftTerm;
  }

  field(revision: number): Uint8Array {
    const term = this.#raftTerm();
    if (revision !== this.#revision || term !== this.#term) {
      this.#revision = revision;
      this.#term = term;
      this.#field = encodeHeader(this.#ids, revision, term);
    }
    return this.#field;
  }
}

function encodeIds(clusterId: bigint, memberId: bigint): Uint8Array {
  const bytes = new Uint8Array(2 + sizeVarint64(clusterId) + sizeVarint64(memberId));
  bytes[0] = 0x08;
  const at = writeVarint64(clusterId, bytes, 1);
  bytes[at] = 0x10;
  return bytes.subarray(0, writeVarint64(memberId, bytes, at + 1));
}

function encodeHeader(ids: Uint8Array, revision: number, term: number): Uint8Array {
  const revisionSize = revision === 0 ? 0 : 1 + sizeVarint(revision);
  const termSize = term === 0 ? 0 : 1 + sizeVarint(term);
  const size = ids.length + revisionSize + termSize;
  const field = new Uint8Array(1 + sizeVarint(size) + size);
  field[0] = headerTag;
  let at = writeVarint(size, field, 1);
  field.set(ids, at);
  at += ids.length;
  if (revision !== 0) {
    field[at] = 0x18;
    at = writeVarint(revision, field, at + 1);
  }
  if (term !== 0) {
    field[at] = 0x20;
    writeVarint(term, field, at + 1);
  }
  return field;
}
