/**
 * The client of a stream, in tests: takes responses, checks that each has the size it announces and is encoded as a
 * generated encoder would, and decodes it.
 */

import { equalBytes, latin1FromBytes, messageBytes, watch } from "@etcd-ts/api";
import { decodeWatchResponse, type WatchResponse } from "@etcd-ts/api/etcdserverpb";
import { whole } from "../../testing/store-fixture.js";
import { ResponseHeaders } from "../response-headers.js";
import type { WatchStream } from "../watch-stream.js";

const headers = new ResponseHeaders({ clusterId: 0xcdf818194e3a8c32n, memberId: 7n, raftTerm: () => 3 });
const margin = 3;

/** The next response, undefined when none waits. Calls back when it is one in pieces. */
export function take(stream: WatchStream, onPieces?: () => void): WatchResponse | undefined {
  const response = stream.next(headers);
  if (response === undefined) return undefined;
  const target = new Uint8Array(response.sizeBytes + 2 * margin).fill(0xaa);
  response.write(target, margin);
  for (let at = 0; at < margin; at++) {
    if (target[at] !== 0xaa || target[target.length - 1 - at] !== 0xaa) throw new Error("a response left its place");
  }
  if (response.pieces !== undefined) {
    onPieces?.();
    if (!equalBytes(whole(response.pieces), target.subarray(margin, target.length - margin))) {
      throw new Error("the pieces of a response are not the response");
    }
  }
  const decoded = decodeWatchResponse(target, margin, target.length - margin);
  const canonical = messageBytes(watch.watch.response, decoded);
  if (!equalBytes(canonical, target.subarray(margin, target.length - margin))) {
    throw new Error("a response is not encoded as its message would be");
  }
  return decoded;
}

export function takeAll(stream: WatchStream): WatchResponse[] {
  const responses: WatchResponse[] = [];
  for (let response = take(stream); response !== undefined; response = take(stream)) responses.push(response);
  return responses;
}

/** One line for a response: `7@12 +a=1(12) -b(12)`; events as key=value and revision, `{…}` around a previous value. */
export function describe(response: WatchResponse): string {
  const words = [`${response.watchId}@${response.header?.revision ?? 0}`];
  if (response.created) words.push("created");
  if (response.canceled) words.push("canceled");
  if (response.compactRevision !== 0) words.push(`compacted:${response.compactRevision}`);
  if (response.cancelReason !== "") words.push(JSON.stringify(response.cancelReason));
  if (response.fragment) words.push("fragment");
  for (const { type, kv, prevKv } of response.events) {
    if (kv === undefined) throw new Error("an event has a key and value");
    const previous = prevKv === undefined ? "" : `{${latin1FromBytes(prevKv.value)}(${prevKv.modRevision})}`;
    const key = latin1FromBytes(kv.key);
    words.push(
      type === 1
        ? `-${key}(${kv.modRevision})${previous}`
        : `+${key}=${latin1FromBytes(kv.value)}(${kv.modRevision})${previous}`,
    );
  }
  return words.join(" ");
}

export function describeAll(stream: WatchStream): string[] {
  return takeAll(stream).map(describe);
}
