/** HTTP/2 frames over a socket: a writer that collects them into one write, and a reader that finds them in place. */

import type { Socket } from "node:net";
import { Region } from "./region.js";

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const SettingsId = { enablePush: 2, initialWindowSize: 4 } as const;

export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
export const frameSizeMax = 16_384;
export const windowDefault = 65_535;
export const windowMax = 2 ** 31 - 1;
const frameHeaderSize = 9;
const outputSize = 256 * 1024;
const inputSize = 256 * 1024;

export class FrameWriter {
  readonly #write: (bytes: Uint8Array) => boolean;
  /** The buffer being filled. Valid until the next `frame` or `flush`. */
  output: Buffer = Buffer.allocUnsafeSlow(outputSize);
  /** Bytes of `output` that are filled; a user who writes into it moves this on. */
  used = 0;

  /** `write` says whether it is done with the bytes when it returns. */
  constructor(write: (bytes: Uint8Array) => boolean) {
    this.#write = write;
  }

  /** Writes a frame header and makes sure that its payload of `length` bytes fits behind it. */
  frame(type: number, flags: number, id: number, length: number): void {
    this.reserve(frameHeaderSize + length);
    const at = this.used;
    this.output[at] = length >> 16;
    this.output[at + 1] = length >> 8;
    this.output[at + 2] = length;
    this.output[at + 3] = type;
    this.output[at + 4] = flags;
    this.used = at + 5;
    this.uint32(id);
  }

  uint8(value: number): void {
    this.output[this.used++] = value;
  }

  uint16(value: number): void {
    this.output[this.used++] = value >> 8;
    this.output[this.used++] = value;
  }

  uint32(value: number): void {
    const at = this.used;
    this.output[at] = value >> 24;
    this.output[at + 1] = value >> 16;
    this.output[at + 2] = value >> 8;
    this.output[at + 3] = value;
    this.used = at + 4;
  }

  /** Copies `bytes[start, end)`. */
  bytes(bytes: Uint8Array, start: number = 0, end: number = bytes.length): void {
    if (end - start < 48) {
      for (let i = start; i < end; i++) {
        this.output[this.used++] = bytes[i] ?? 0;
      }
    } else {
      this.output.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.used);
      this.used += end - start;
    }
  }

  text(text: string): void {
    this.reserve(text.length);
    this.used += this.output.write(text, this.used, "latin1");
  }

  windowUpdate(id: number, credit: number): void {
    this.frame(FrameType.windowUpdate, 0, id, 4);
    this.uint32(credit);
  }

  /** Hands what was written to the socket. */
  flush(): void {
    if (this.used > 0) {
      const isDone = this.#write(this.output.subarray(0, this.used));
      if (!isDone) {
        this.output = Buffer.allocUnsafeSlow(outputSize);
      }
      this.used = 0;
    }
  }

  reserve(size: number): void {
    if (this.used + size > this.output.length) {
      this.flush();
    }
  }
}

export interface FrameHandler {
  /** The payload is `[start, end)` of the `input`, until this returns. */
  onFrame(type: number, flags: number, id: number, start: number, end: number): void;
}

const headroom = frameHeaderSize + frameSizeMax;

/**
 * Where all sockets of the process put what they read: it is handled before the next one is read, and stays in the
 * processor's cache. The room in front is for the beginning of a frame that came with an earlier read.
 */
export const input: Region = new Region(headroom + inputSize);
/** The part of `input` that a socket reads into. */
export const inputTarget: Buffer = input.bytes.subarray(headroom);

/** Finds the frames of one connection. */
export class FrameReader {
  /** The beginning of an incomplete frame. */
  readonly #carry: Buffer = Buffer.allocUnsafeSlow(headroom);
  #carried = 0;

  /** Shows the whole frames after `byteCount` new bytes at the start of `inputTarget`, and keeps the rest for later. */
  read(byteCount: number, handler: FrameHandler): void {
    const { bytes, view } = input;
    const end = headroom + byteCount;
    let at = headroom - this.#carried;
    if (this.#carried > 0) {
      this.#carry.copy(bytes, at, 0, this.#carried);
      this.#carried = 0;
    }
    while (end - at >= frameHeaderSize) {
      const lengthAndType = view.getUint32(at);
      const length = lengthAndType >>> 8;
      const payload = at + frameHeaderSize;
      if (length > frameSizeMax) {
        throw new Error(`the peer sent a frame of ${length} bytes`);
      }
      if (end - payload < length) {
        break;
      }
      const id = view.getInt32(at + 5) & windowMax;
      handler.onFrame(lengthAndType & 0xff, view.getUint8(at + 4), id, payload, payload + length);
      at = payload + length;
    }
    if (at < end) {
      this.#carried = bytes.copy(this.#carry, 0, at, end);
    }
  }
}

/** Reads the settings in a SETTINGS payload. */
export function* readSettings(start: number, end: number): Generator<{ id: number; value: number }> {
  for (let at = start; at + 6 <= end; at += 6) {
    yield { id: input.view.getUint16(at), value: input.view.getUint32(at + 2) };
  }
}

/** The write function of a socket: nearly always the system takes all bytes at once. */
export function writeTo(socket: Socket): (bytes: Uint8Array) => boolean {
  return (bytes) => {
    socket.write(bytes);
    return socket.writableLength === 0;
  };
}
