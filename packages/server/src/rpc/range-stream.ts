/**
 * KV.RangeStream: a range in chunks, all at the revision of the first. The chunks grow or shrink towards half of what a
 * request may be. Only the last message has header, more and count.
 *
 * Source: etcd server/etcdserver/v3_server.go RangeStream.
 */

import { bytesFromLatin1, kv, nextKey, sizeLengthPrefixed, writeVarint32 } from "@etcd-ts/api";
import type { RangeRequest } from "@etcd-ts/api/etcdserverpb";
import { type MethodHandler, type ServerCall, StatusCode } from "@etcd-ts/grpc";
import {
  checkRange,
  encodeRangeResponse,
  type Pieces,
  type RangeResult,
  sizePieces,
  sizeRangeResponse,
  writePieces,
} from "@etcd-ts/store";
import type { Member } from "../node/member.js";
import { decodeRequest } from "./method.js";
import { refuse } from "./status.js";

const firstChunkLimit = 10;
/** RangeStreamResponse.range_response. */
const rangeResponseTag = 0x0a;

export function rangeStream(member: Member, options: { readonly maxRequestBytes: number }): [string, MethodHandler] {
  return [
    kv.rangeStream.path,
    {
      kind: "request",
      handle: (call, bytes) => {
        const request = decodeRequest(call, kv.rangeStream.request, bytes);
        if (request === undefined) return;
        const reason = checkRange(request);
        if (reason !== undefined) return refuse(call, reason);
        const unsupported = unsupportedText(request);
        if (unsupported !== undefined) return call.end({ code: StatusCode.unimplemented, message: unsupported });
        const stream = new RangeStream(member, call, request, options.maxRequestBytes);
        if (request.serializable) return stream.start();
        member.linearizableRead((refusal) => {
          if (refusal !== undefined) refuse(call, refusal);
          else stream.start();
        });
      },
    },
  ];
}

function unsupportedText(request: RangeRequest): string | undefined {
  const isDefaultOrder = request.sortOrder === 0 || (request.sortTarget === 0 && request.sortOrder === 1);
  if (!isDefaultOrder) return "RangeStream does not support custom sort orders";
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const isFiltered = minModRevision !== 0 || maxModRevision !== 0 || minCreateRevision !== 0 || maxCreateRevision !== 0;
  return isFiltered ? "RangeStream does not support revision filters" : undefined;
}

class RangeStream {
  readonly #member: Member;
  readonly #call: ServerCall;
  readonly #maxRequestBytes: number;
  #request: RangeRequest;
  /** Keys still wanted; Infinity without a limit. */
  #wanted: number;
  #chunkLimit: number;
  #sent = 0;
  #headerRevision = 0;
  #cancel: () => void = () => {};

  constructor(member: Member, call: ServerCall, request: RangeRequest, maxRequestBytes: number) {
    this.#member = member;
    this.#call = call;
    this.#maxRequestBytes = maxRequestBytes;
    this.#request = { ...request, key: request.key.slice(), rangeEnd: request.rangeEnd.slice() };
    this.#wanted = request.limit > 0 ? request.limit : Number.POSITIVE_INFINITY;
    this.#chunkLimit = Math.min(firstChunkLimit, this.#wanted);
    call.onCancel(() => this.#cancel());
  }

  start(): void {
    if (this.#call.ended) return;
    const limit = this.#request.countOnly ? 0 : this.#chunkLimit;
    const read = this.#member.mvcc.startRange({ ...this.#request, limit });
    this.#cancel = this.#member.runSliced(read, (result) => {
      if (result.kind === "refused") refuse(this.#call, result.reason);
      else this.#send(result);
    });
  }

  #send(result: RangeResult): void {
    if (this.#headerRevision === 0) this.#headerRevision = result.revision;
    const size = sizePieces(result.kvs);
    this.#sent += result.kvCount;
    this.#wanted -= result.kvCount;
    const isLast = !result.more || this.#wanted <= 0 || this.#request.countOnly || result.lastKey === undefined;
    const goesOn = isLast ? this.#sendLast(result) : this.#sendChunk(result.kvs, size);
    if (isLast) return this.#call.end({ code: StatusCode.ok, message: "" });
    this.#advance(result, size);
    if (goesOn) this.#member.clock.defer(() => this.start());
    else this.#call.onDrain(() => this.start());
  }

  /** A RangeResponse of rows only. */
  #sendChunk(kvs: Pieces, size: number): boolean {
    return this.#call.send(1 + sizeLengthPrefixed(size), (target, offset) => {
      target[offset] = rangeResponseTag;
      writePieces(kvs, target, writeVarint32(target, offset + 1, size));
    });
  }

  #sendLast(result: RangeResult): boolean {
    const header = this.#member.headerParts;
    const last = { ...result, revision: this.#headerRevision, count: this.#count(result) };
    const size = sizeRangeResponse(header, last);
    return this.#call.send(1 + sizeLengthPrefixed(size), (target, offset) => {
      target[offset] = rangeResponseTag;
      encodeRangeResponse(header, last, target, writeVarint32(target, offset + 1, size));
    });
  }

  /** Keys in the whole range: those sent, and those that the last chunk saw behind it. */
  #count(result: RangeResult): number {
    return this.#sent - result.kvCount + result.count;
  }

  /** `size`: bytes of the rows. */
  #advance(result: RangeResult, size: number): void {
    const revision = this.#request.revision > 0 ? this.#request.revision : this.#headerRevision;
    this.#request = { ...this.#request, key: nextKey(bytesFromLatin1(result.lastKey ?? "")), revision };
    if (size < this.#maxRequestBytes / 2) this.#chunkLimit *= 2;
    else if (size > 2 * this.#maxRequestBytes) this.#chunkLimit = Math.floor(this.#chunkLimit / 2);
    this.#chunkLimit = Math.max(1, Math.min(this.#chunkLimit, this.#wanted));
  }
}
