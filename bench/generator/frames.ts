/** HTTP/2 frames over a socket: a writer that collects them into one write, and a reader that finds them in place. */

import type { Socket } from "node:net";

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
const inputSize = 512 * 1024;

export class FrameWriter {
  readonly #write: (bytes: Uint8Array, onWritten: () => void) => void;
  readonly #freeOutputs: Buffer[] = [];
  /** The buffer being filled. Valid until the next `frame` or `flush`. */
  output: Buffer = Buffer.allocUnsafeSlow(outputSize);
  /** Bytes of `output` that are filled; a user who writes into it moves this on. */
  used = 0;

  constructor(write: (bytes: Uint8Array, onWritten: () => void) => void) {
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
      const full = this.output;
      this.#write(full.subarray(0, this.used), () => this.#freeOutputs.push(full));
      this.output = this.#freeOutputs.pop() ?? Buffer.allocUnsafeSlow(outputSize);
      this.used = 0;
    }
  }

  reserve(size: number): void {
    if (this.used + size > this.output.length) {
      this.flush();
    }
  }
}

/** Handles the frame of `type` whose payload is `[start, end)` of the reader's `input`. */
export type OnFrame = (type: number, flags: number, id: number, start: number, end: number) => void;

export class FrameReader {
  readonly input: Buffer = Buffer.allocUnsafeSlow(inputSize);
  /** Bytes of an incomplete frame at the start of `input`. */
  #carried: number;

  /** The first `skipped` bytes are expected to be something else, and are already in `input`. */
  constructor(skipped = 0) {
    this.#carried = skipped;
  }

  /** Where the socket shall put its next bytes. */
  free(): Buffer {
    return this.input.subarray(this.#carried);
  }

  /** Finds the whole frames after `byteCount` new bytes, and keeps the rest for later. */
  read(byteCount: number, onFrame: OnFrame): void {
    const input = this.input;
    const end = this.#carried + byteCount;
    let at = 0;
    while (end - at >= frameHeaderSize) {
      const length = ((input[at] ?? 0) << 16) | ((input[at + 1] ?? 0) << 8) | (input[at + 2] ?? 0);
      const payload = at + frameHeaderSize;
      if (length > frameSizeMax) {
        throw new Error(`the peer sent a frame of ${length} bytes`);
      }
      if (end - payload < length) {
        break;
      }
      const id = input.readUInt32BE(at + 5) & windowMax;
      onFrame(input[at + 3] ?? 0, input[at + 4] ?? 0, id, payload, payload + length);
      at = payload + length;
    }
    input.copyWithin(0, at, end);
    this.#carried = end - at;
  }
}

/** Reads the settings in a SETTINGS payload. */
export function* readSettings(input: Buffer, start: number, end: number): Generator<{ id: number; value: number }> {
  for (let at = start; at + 6 <= end; at += 6) {
    yield { id: input.readUInt16BE(at), value: input.readUInt32BE(at + 2) };
  }
}

/** Options of `net.connect` and of a server's socket that read into `reader` without allocating. */
export function readInto(reader: FrameReader, onBytes: (byteCount: number) => void) {
  return {
    buffer: () => reader.free(),
    callback: (byteCount: number): boolean => {
      onBytes(byteCount);
      return true;
    },
  };
}

/** The write function of a socket. */
export function writeTo(socket: Socket): (bytes: Uint8Array, onWritten: () => void) => void {
  return (bytes, onWritten) => {
    socket.write(bytes, onWritten);
  };
}
