/**
 * One raft message per POST: the channel of last resort, used while no stream is attached and towards members that are
 * not peers yet. At most four posts are under way and 64 messages wait.
 *
 * Source: etcd server/etcdserver/api/rafthttp/pipeline.go.
 */

import { messageBytes } from "@etcd-ts/api";
import { encodeMessage, sizeMessage } from "@etcd-ts/api/raftpb";
import { type Message, MessageType } from "@etcd-ts/raft";
import type { Network, PostResponse } from "../env.js";
import { type LocalIdentity, requestHeaders } from "./identity.js";
import type { PeerStatus } from "./peer-status.js";
import type { UrlPicker } from "./url-picker.js";

const postsMax = 4;
const queueMax = 64;
const responseBytesMax = 64 * 1024;

export interface PipelinePorts {
  readonly network: Network;
  readonly local: LocalIdentity;
  readonly picker: UrlPicker;
  readonly status: PeerStatus;
  reportUnreachable(): void;
  reportSnapshot(outcome: "finish" | "failure"): void;
  /** The peer says that this member was removed from the cluster. */
  removed(): void;
}

export class Pipeline {
  readonly #ports: PipelinePorts;
  readonly #queue: Message[] = [];
  #posting = 0;
  #stopped = false;

  constructor(ports: PipelinePorts) {
    this.#ports = ports;
  }

  /** False when the message could not be queued. */
  send(message: Message): boolean {
    if (this.#stopped || this.#queue.length >= queueMax) return false;
    this.#queue.push(message);
    this.#pump();
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
  }

  #pump(): void {
    while (this.#posting < postsMax) {
      const message = this.#queue.shift();
      if (message === undefined) return;
      this.#posting++;
      this.#post(message)
        .catch((error: unknown) => this.#failed(message, String(error)))
        .finally(() => {
          this.#posting--;
          this.#pump();
        });
    }
  }

  async #post(message: Message): Promise<void> {
    const { network, local, picker, status } = this.#ports;
    const url = picker.pick();
    const body = messageBytes({ size: sizeMessage, encode: encodeMessage }, message);
    let response: PostResponse;
    try {
      response = await network.post({
        url: `${url}/raft`,
        method: "POST",
        headers: { ...requestHeaders(local), "content-type": "application/protobuf" },
        body,
        timeoutMs: 0,
        responseBytesMax,
      });
    } catch (error) {
      picker.unreachable(url);
      throw error;
    }
    if (this.#stopped) return;
    if (response.status === 403) return this.#ports.removed();
    if (response.status !== 204) {
      picker.unreachable(url);
      throw new Error(`unexpected http status ${response.status} while posting to ${url}`);
    }
    status.activate();
    status.metrics.sentBytes += body.length;
    if (message.type === MessageType.snap) this.#ports.reportSnapshot("finish");
  }

  #failed(message: Message, cause: string): void {
    if (this.#stopped) return;
    this.#ports.status.deactivate("post raft message", cause);
    this.#ports.status.metrics.sentFailures++;
    this.#ports.reportUnreachable();
    if (message.type === MessageType.snap) this.#ports.reportSnapshot("failure");
  }
}
