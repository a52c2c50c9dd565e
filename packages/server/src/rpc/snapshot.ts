/**
 * Maintenance.Snapshot: the database in etcd's file format, in chunks, and the SHA-256 of it in the last message.
 *
 * Source: etcd server/etcdserver/api/v3rpc/maintenance.go Snapshot.
 */

import { maintenance } from "@etcd-ts/api";
import { type MethodHandler, type ServerCall, StatusCode } from "@etcd-ts/grpc";
import type { Sha256 } from "../env.js";
import type { Member } from "../node/member.js";
import type { DatabaseImage } from "../snapshot/database-image.js";
import { ImageAbortedError } from "../snapshot/pin.js";
import { decodeRequest, sendWith } from "./method.js";

const chunkBytes = 32 * 1024;

export function snapshotService(member: Member): [path: string, handler: MethodHandler] {
  return [
    maintenance.snapshot.path,
    {
      kind: "request",
      handle: (call, bytes) => {
        if (decodeRequest(call, maintenance.snapshot.request, bytes) === undefined) return;
        member.images
          .withImage("client", (image) => sendImage(call, image, member.digest.startSha256()))
          .catch((error: unknown) => call.end(failure(error)));
      },
    },
  ];
}

async function sendImage(call: ServerCall, image: DatabaseImage, sum: Sha256): Promise<void> {
  const version = image.storageVersion;
  const room = new Room(call);
  let remainingBytes = image.sizeBytes;
  for await (const piece of image.pieces()) {
    sum.update(piece);
    for (let at = 0; at < piece.length; at += chunkBytes) {
      const blob = piece.subarray(at, at + chunkBytes);
      remainingBytes -= blob.length;
      if (!sendWith(call, maintenance.snapshot.response, { remainingBytes, blob, version })) await room.wait();
      if (call.ended) return;
    }
  }
  sendWith(call, maintenance.snapshot.response, { remainingBytes: 0, blob: sum.finish(), version });
  call.end({ code: StatusCode.ok, message: "" });
}

/** Waits for room in a call's send buffer, or for its end. */
class Room {
  #resolve: (() => void) | undefined;

  constructor(call: ServerCall) {
    const wake = (): void => {
      this.#resolve?.();
      this.#resolve = undefined;
    };
    call.onDrain(wake);
    call.onCancel(wake);
  }

  /** To be called when `send` has returned false, at once. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }
}

function failure(error: unknown): { readonly code: StatusCode; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  return { code: error instanceof ImageAbortedError ? StatusCode.unavailable : StatusCode.internal, message };
}
