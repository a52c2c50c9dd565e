/** The frames a connection sends about itself and its streams: all but headers and data. Source: RFC 9113 §6. */
import {
  clientPreface,
  type ErrorCode,
  Flag,
  FrameType,
  frameHeaderBytes,
  writeFrameHeader,
  writeUint32,
} from "./protocol.js";
import type { SendScheduler } from "./send-scheduler.js";
import { latin1Bytes } from "./text.js";

/** What a PING of ours is for; its answer says so too. */
export const pingPurpose = { keepalive: 1, drain: 2 } as const;
export type PingPurpose = (typeof pingPurpose)[keyof typeof pingPurpose];

export class ControlFrames {
  readonly #scheduler: SendScheduler;

  constructor(scheduler: SendScheduler) {
    this.#scheduler = scheduler;
  }

  preface(): void {
    const at = this.#scheduler.reserveControl(clientPreface.length);
    this.#scheduler.target.set(clientPreface, at);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    let at = this.#reserve(FrameType.settings, 0, 0, settings.length * 6);
    for (const [id, value] of settings) {
      this.#scheduler.target[at + 1] = id;
      writeUint32(this.#scheduler.target, at + 2, value);
      at += 6;
    }
  }

  settingsAck(): void {
    this.#reserve(FrameType.settings, Flag.ack, 0, 0);
  }

  ping(purpose: PingPurpose): void {
    const at = this.#reserve(FrameType.ping, 0, 0, 8);
    writeUint32(this.#scheduler.target, at + 4, purpose);
  }

  /** The answer to a PING with the payload `bytes[start..end)`. */
  pingAck(bytes: Uint8Array, start: number, end: number): void {
    const at = this.#reserve(FrameType.ping, Flag.ack, 0, 8);
    this.#scheduler.target.set(bytes.subarray(start, end), at);
  }

  goAway(lastStreamId: number, code: ErrorCode, debug: string): void {
    const text = latin1Bytes(debug);
    const at = this.#reserve(FrameType.goAway, 0, 0, 8 + text.length);
    writeUint32(this.#scheduler.target, at, lastStreamId);
    writeUint32(this.#scheduler.target, at + 4, code);
    this.#scheduler.target.set(text, at + 8);
  }

  reset(streamId: number, code: ErrorCode): void {
    const at = this.#reserve(FrameType.resetStream, 0, streamId, 4);
    writeUint32(this.#scheduler.target, at, code);
  }

  windowUpdate(streamId: number, bytes: number): void {
    const at = this.#reserve(FrameType.windowUpdate, 0, streamId, 4);
    writeUint32(this.#scheduler.target, at, bytes);
  }

  /** Writes a frame's header and returns where its payload goes, which is zeros. */
  #reserve(type: number, flags: number, streamId: number, payloadBytes: number): number {
    const at = this.#scheduler.reserveControl(frameHeaderBytes + payloadBytes);
    const payload = at + frameHeaderBytes;
    writeFrameHeader(this.#scheduler.target, at, payloadBytes, type, flags, streamId);
    this.#scheduler.target.fill(0, payload, payload + payloadBytes);
    return payload;
  }
}
