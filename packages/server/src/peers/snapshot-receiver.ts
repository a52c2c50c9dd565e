/**
 * `/raft/snapshot`: raft's message, then the database of a member that is further. Raft hears of it once the database
 * is complete on this member's disk. What is refused is logged with its reason and leaves nothing behind.
 *
 * Source: etcd server/etcdserver/api/rafthttp/http.go snapshotHandler.
 */

import { type Message, MessageType } from "@etcd-ts/raft";
import type { Clock, Logger, ServedRequest } from "../env.js";
import { beginSnapshot } from "../metrics/measured.js";
import type { PeerMetrics } from "../metrics/member-metrics.js";
import type { Member } from "../node/member.js";
import { counted } from "./body.js";
import { checkedBody } from "./body-digest.js";
import { FrameReader } from "./frame-reader.js";
import { hexId } from "./identity.js";
import { takeMessageFrame } from "./stream-codec.js";

/** Source: rafthttp snapshotLimitByte. */
const messageBytesMax = 64 * 1024 * 1024;

/** What the receiver needs of this member. */
export type ReceivingMember = Pick<Member, "clusterId" | "digest" | "memberId" | "membership" | "receiveSnapshot">;

export interface ReceivingPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  metricsOf(id: bigint): PeerMetrics;
}

export function receiveSnapshot(member: ReceivingMember, ports: ReceivingPorts, request: ServedRequest): void {
  const { clock, logger } = ports;
  const headers = { "x-etcd-cluster-id": hexId(member.clusterId), "content-type": "text/plain; charset=utf-8" };
  // The rest of the body is not read then.
  const refuse = (status: number, text: string): void =>
    request.respond(status, { ...headers, connection: "close" }, `${text}\n`);
  const refuseMessage = (status: number, text: string): void => {
    logger.log("warn", "refused a snapshot message", { "remote-peer": request.remoteAddress, status, error: text });
    refuse(status, text);
  };
  const body = checkedBody(member.digest, request)[Symbol.asyncIterator]();
  const receive = async (): Promise<void> => {
    let read: { readonly message: Message; readonly rest: Uint8Array };
    try {
      read = await readMessage(body);
    } catch (error) {
      return refuseMessage(400, `failed to decode raft message (${textOf(error)})`);
    }
    const { message, rest } = read;
    if (message.type !== MessageType.snap) return refuseMessage(400, "wrong raft message type");
    const fault = misdirected(member, message);
    if (fault !== undefined) {
      logger.log("warn", "refused a snapshot message", { "remote-peer-id": hexId(message.from), error: fault });
      const json = { ...headers, connection: "close", "content-type": "application/json" };
      return request.respond(403, json, JSON.stringify({ message: fault }));
    }
    const index = message.snapshot?.metadata.index ?? 0;
    const fields = { "remote-peer-id": hexId(message.from), "incoming-snapshot-index": index };
    logger.log("info", "receiving database snapshot", fields);
    const metrics = ports.metricsOf(message.from);
    const ended = beginSnapshot(metrics.snapshotReceived, clock);
    const database = counted(concatenated(rest, body), (size) => {
      metrics.receivedBytes += size;
    });
    try {
      await member.receiveSnapshot(message, database);
    } catch (error) {
      metrics.receivedFailures++;
      ended("failure");
      logger.log("warn", "failed to save incoming database snapshot", { ...fields, error: textOf(error) });
      return refuse(500, `failed to save KV snapshot (${textOf(error)})`);
    }
    ended("success");
    logger.log("info", "received and saved database snapshot", fields);
    request.respond(204, { "x-etcd-cluster-id": hexId(member.clusterId) }, "");
  };
  receive().catch((error: unknown) => refuseMessage(500, `failed to process raft message (${textOf(error)})`));
}

function misdirected(member: ReceivingMember, message: Message): string | undefined {
  if (member.membership.isRemoved(message.from)) return "cannot process message from removed member";
  if (message.to !== member.memberId) return "cannot process message to mismatch member";
  return undefined;
}

/** The message in front, and what of the rest came with it. */
async function readMessage(
  body: AsyncIterator<Uint8Array>,
): Promise<{ readonly message: Message; readonly rest: Uint8Array }> {
  const reader = new FrameReader();
  for (;;) {
    const message = takeMessageFrame(reader, messageBytesMax);
    if (message !== undefined) return { message, rest: reader.take(reader.available) ?? new Uint8Array(0) };
    const next = await body.next();
    if (next.done === true) throw new Error("unexpected EOF");
    reader.push(next.value);
  }
}

async function* concatenated(first: Uint8Array, body: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (let next = await body.next(); next.done !== true; next = await body.next()) yield next.value;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
