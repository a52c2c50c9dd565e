/**
 * etcdserverpb.Watch: moves bytes between a call and its watch stream. Source: etcd
 * server/etcdserver/api/v3rpc/watch.go.
 */

import { limits, watch } from "@etcd-ts/api";
import type { ServerCall, ServiceTable, StreamReceiver } from "@etcd-ts/grpc";
import { WatchSession } from "@etcd-ts/store";
import type { Member } from "../node/member.js";
import { decodeRequest } from "./method.js";

export interface WatchServiceOptions {
  readonly maxRequestBytes: number;
  /** 0 = the default. */
  readonly progressNotifyMs: number;
}

/** Part of the interval by which streams differ, so that their notifications do not come all at once. */
const jitter = 0.1;

export function watchServices(member: Member, options: WatchServiceOptions): ServiceTable {
  const intervalMs = options.progressNotifyMs > 0 ? options.progressNotifyMs : limits.watchProgressNotifyMs;
  const fragmentBytes = options.maxRequestBytes + limits.grpcOverheadBytes;
  const open = (call: ServerCall): StreamReceiver => {
    const progressIntervalMs = intervalMs + member.random.integer(Math.ceil(intervalMs * jitter));
    return openWatch(member, call, { progressIntervalMs, fragmentBytes });
  };
  return new Map([[watch.watch.path, { kind: "stream", open }]]);
}

function openWatch(
  member: Member,
  call: ServerCall,
  options: { readonly progressIntervalMs: number; readonly fragmentBytes: number },
): StreamReceiver {
  const hub = member.watchHub;
  const stream = hub.openStream({ nowMs: member.clock.now(), ...options });
  const session = new WatchSession(hub, stream, {
    authorize: (key, rangeEnd) => member.authorizeRange(call, key, rangeEnd),
    currentRevision: () => member.mvcc.currentRevision(),
  });
  let blocked = false;
  let paused = false;
  const pump = (): void => {
    while (!blocked && !call.ended) {
      const response = stream.next(member.headers.watch);
      if (response === undefined) break;
      const { pieces } = response;
      blocked = !(pieces === undefined
        ? call.send(response.sizeBytes, (target, offset) => response.write(target, offset))
        : call.sendPieces(pieces));
    }
    if (paused && !stream.isReplyQueueFull) {
      paused = false;
      call.resumeReceiving();
    }
  };
  stream.onReady(() => member.flushQueue.add(pump));
  call.onDrain(() => {
    blocked = false;
    pump();
  });
  call.onCancel(() => hub.closeStream(stream));
  return {
    onMessage(bytes) {
      const request = decodeRequest(call, watch.watch.request, bytes);
      if (request === undefined) return hub.closeStream(stream);
      session.handle(request);
      if (!stream.isReplyQueueFull) return;
      paused = true;
      call.pauseReceiving();
    },
    // A client that will ask no more still gets its events, until it goes away.
    onHalfClose() {},
  };
}
