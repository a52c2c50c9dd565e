/**
 * The header of every answer: this member's ids and, between them, the revision and the term of what it has applied.
 */

import { messageBytes } from "@etcd-ts/api";
import { encodeResponseHeader, type ResponseHeaderInit, sizeResponseHeader } from "@etcd-ts/api/etcdserverpb";
import { type HeaderParts, ResponseHeaders } from "@etcd-ts/store";

export interface AnswerIds {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

export class AnswerHeaders {
  readonly #ids: AnswerIds;
  readonly #appliedTerm: () => number;
  /** Of watch answers. */
  readonly watch: ResponseHeaders;
  #partsTerm = -1;
  #parts: HeaderParts = { beforeRevision: new Uint8Array(0), afterRevision: new Uint8Array(0) };

  constructor(ids: AnswerIds, appliedTerm: () => number) {
    this.#ids = ids;
    this.#appliedTerm = appliedTerm;
    this.watch = new ResponseHeaders({ ...ids, raftTerm: appliedTerm });
  }

  /** What surrounds the revision, encoded; made anew only when the term has changed. */
  get parts(): HeaderParts {
    if (this.#partsTerm !== this.#appliedTerm()) {
      this.#partsTerm = this.#appliedTerm();
      this.#parts = encodeParts(this.fields(0));
    }
    return this.#parts;
  }

  /** Fields of a ResponseHeader; revision 0 is left out. */
  fields(revision: number): { clusterId: bigint; memberId: bigint; revision: number; raftTerm: number } {
    const { clusterId, memberId } = this.#ids;
    return { clusterId, memberId, revision, raftTerm: this.#appliedTerm() };
  }
}

function encodeParts(fields: ResponseHeaderInit): HeaderParts {
  const encode = (part: ResponseHeaderInit): Uint8Array => {
    return messageBytes({ size: sizeResponseHeader, encode: encodeResponseHeader }, part);
  };
  const { raftTerm, ...ids } = fields;
  return { beforeRevision: encode(ids), afterRevision: encode({ raftTerm }) };
}
