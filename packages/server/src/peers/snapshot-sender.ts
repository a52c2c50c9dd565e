/**
 * Sends a follower that is too far behind the whole database: raft's message and an image behind it, in one POST. The
 * message is given the index, term and configuration of the image, which is newer than what raft had in mind. A digest
 * of both follows them.
 *
 * Source: etcd server/etcdserver/api/rafthttp/snapshot_sender.go, server.go sendMergedSnap.
 */

import type { Message } from "@etcd-ts/raft";
import type { Clock, Logger, Network } from "../env.js";
import { beginSnapshot } from "../metrics/measured.js";
import type { Member } from "../node/member.js";
import type { DatabaseImage } from "../snapshot/database-image.js";
import { counted } from "./body.js";
import { withDigest } from "./body-digest.js";
import { hexId, type LocalIdentity, requestHeaders } from "./identity.js";
import type { PeerStatus } from "./peer-status.js";
import { encodeMessageFrame } from "./stream-codec.js";
import type { UrlPicker } from "./url-picker.js";
import { v2Membership } from "./v2-membership.js";

export interface SnapshotSenderPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly network: Network;
  readonly local: LocalIdentity;
  /** The peer says that this member was removed from the cluster. */
  removed(): void;
}

/** What the sender needs of this member. */
export type SendingMember = Pick<
  Member,
  "digest" | "holdLog" | "images" | "membership" | "reportSnapshot" | "reportUnreachable"
>;

/** The receiver answers once it has built its database; nothing moves on the connection meanwhile. */
const idleMsMax = 10 * 60 * 1000;
const responseBytesMax = 64 * 1024;
/** The log is kept for this long after a snapshot arrived. Source: etcd server.go releaseDelayAfterSnapshot. */
const releaseDelayMs = 30_000;

export class SnapshotSender {
  readonly #ports: SnapshotSenderPorts;

  constructor(ports: SnapshotSenderPorts) {
    this.#ports = ports;
  }

  /** Tells raft through `member` what became of it. */
  send(member: SendingMember, message: Message, picker: UrlPicker, status: PeerStatus): void {
    const { clock, logger } = this.#ports;
    const release = member.holdLog();
    const url = picker.pick();
    const to = hexId(message.to);
    const { metrics } = status;
    const ended = beginSnapshot(metrics.snapshotSent, clock);
    member.images
      .withImage("member", async (image) => {
        logger.log("info", "sending database snapshot", { "snapshot-index": image.index, "remote-peer-id": to });
        const body = counted(framed(message, member, image), (size) => {
          metrics.sentBytes += size;
        });
        await this.#post(url, withDigest(member.digest, body));
      })
      .then(
        () => {
          status.activate();
          ended("success");
          logger.log("info", "sent database snapshot", { "remote-peer-id": to });
          member.reportSnapshot(message.to, "finish");
          clock.setTimer(releaseDelayMs, release);
        },
        (error: unknown) => {
          picker.unreachable(url);
          status.deactivate("post database snapshot", String(error));
          metrics.sentFailures++;
          ended("failure");
          logger.log("warn", "failed to send database snapshot", { "remote-peer-id": to, error: String(error) });
          member.reportUnreachable(message.to);
          member.reportSnapshot(message.to, "failure");
          release();
        },
      );
  }

  async #post(url: string, { headers, body, trailers }: ReturnType<typeof withDigest>): Promise<void> {
    const { network, local } = this.#ports;
    const response = await network.post({
      url: `${url}/raft/snapshot`,
      method: "POST",
      headers: { ...requestHeaders(local), "content-type": "application/octet-stream", ...headers },
      body,
      trailers,
      timeoutMs: idleMsMax,
      responseBytesMax,
    });
    if (response.status === 403) this.#ports.removed();
    if (response.status !== 204) {
      const text = new TextDecoder().decode(response.body).trim();
      throw new Error(`unexpected http status ${response.status} while posting to ${url}: ${text}`);
    }
  }
}

async function* framed(message: Message, member: SendingMember, image: DatabaseImage): AsyncGenerator<Uint8Array> {
  const { index, term, confState } = image;
  const data = v2Membership(member.membership);
  yield encodeMessageFrame({ ...message, snapshot: { data, metadata: { index, term, confState } } });
  yield* image.pieces();
}
