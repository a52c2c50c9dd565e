/**
 * The header of every answer: cluster id, member id, revision and raft term, encoded once per revision.
 *
 * The ids and the term are encoded when they change, so that what remains per answer is one varint; a run of answers at
 * one revision shares the same bytes.
 */

import { encodeResponseHeader, sizeResponseHeader } from "@etcd-ts/api/etcdserverpb";

/** Tag of ResponseHeader.revision: field 3, varint. */
const revisionTag = 0x18;
/** A varint of a revision has at most 8 bytes: revisions are below 2^53. */
const revisionBytesMax = 1 + 8;

function encodeIds(clusterId: bigint, memberId: bigint): Uint8Array {
  const fields = { clusterId, memberId };
  const bytes = new Uint8Array(sizeResponseHeader(fields));
  encodeResponseHeader(fields, bytes, 0);
  return bytes;
}

function encodeTerm(raftTerm: number): Uint8Array {
  const bytes = new Uint8Array(sizeResponseHeader({ raftTerm }));
  encodeResponseHeader({ raftTerm }, bytes, 0);
  return bytes;
}

export class HeaderEncoder {
  readonly #ids: Uint8Array;
  #term = -1;
  #termBytes: Uint8Array = new Uint8Array(0);
  #revision = -1;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(clusterId: bigint, memberId: bigint) {
    this.#ids = encodeIds(clusterId, memberId);
  }

  /**
   * The encoded body of a ResponseHeader. `revision` 0 is left out, as proto3 does. The bytes are shared: do not write
   * to them; they stay as they are when a later call makes others.
   */
  encode(revision: number, raftTerm: number): Uint8Array {
    if (revision === this.#revision && raftTerm === this.#term) return this.#bytes;
    if (raftTerm !== this.#term) {
      this.#term = raftTerm;
      this.#termBytes = encodeTerm(raftTerm);
    }
    const bytes = new Uint8Array(this.#ids.length + revisionBytesMax + this.#termBytes.length);
    bytes.set(this.#ids);
    let offset = this.#ids.length;
    if (revision !== 0) {
      bytes[offset++] = revisionTag;
      let rest = revision;
      while (rest >= 0x80) {
        bytes[offset++] = (rest % 0x80) | 0x80;
        rest = Math.floor(rest / 0x80);
      }
      bytes[offset++] = rest;
    }
    bytes.set(this.#termBytes, offset);
    this.#revision = revision;
    this.#bytes = bytes.subarray(0, offset + this.#termBytes.length);
    return this.#bytes;
  }
}
