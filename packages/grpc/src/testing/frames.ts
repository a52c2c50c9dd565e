/** Frames made and shown by hand, to be the other end of a connection in tests. */
import { HpackDecoder } from "../core/hpack-decoder.js";
import { encodeHeaderBlock } from "../core/hpack-encoder.js";
import {
  errorName,
  Flag,
  FrameType,
  frameHeaderBytes,
  readUint32,
  writeFrameHeader,
  writeUint32,
} from "../core/protocol.js";
import { latin1String } from "../core/text.js";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
}

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  bytes.set(payload, frameHeaderBytes);
  return bytes;
}

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function settings(values: Readonly<Record<number, number>> = {}): Uint8Array {
  const parts = Object.entries(values).flatMap(([id, value]) => [Uint8Array.of(0, Number(id)), uint32(value)]);
  return frame(FrameType.settings, 0, 0, concat(...parts));
}

export const settingsAck: Uint8Array = frame(FrameType.settings, Flag.ack, 0);

export type Pairs = readonly (readonly [name: string, value: string])[];

export function block(pairs: Pairs): Uint8Array {
  return encodeHeaderBlock(pairs.map(([name, value]) => ({ name, value })));
}

export function headers(streamId: number, pairs: Pairs, { endStream = false } = {}): Uint8Array {
  return frame(FrameType.headers, Flag.endHeaders | (endStream ? Flag.endStream : 0), streamId, block(pairs));
}

export function data(streamId: number, payload: Uint8Array, { endStream = false } = {}): Uint8Array {
  return frame(FrameType.data, endStream ? Flag.endStream : 0, streamId, payload);
}

export function reset(streamId: number, code: number): Uint8Array {
  return frame(FrameType.resetStream, 0, streamId, uint32(code));
}

export function windowUpdate(streamId: number, bytes: number): Uint8Array {
  return frame(FrameType.windowUpdate, 0, streamId, uint32(bytes));
}

export function ping(value: number, { ack = false } = {}): Uint8Array {
  return frame(FrameType.ping, ack ? Flag.ack : 0, 0, concat(uint32(0xabcd), uint32(value)));
}

export function goAway(lastStreamId: number, code: number): Uint8Array {
  return frame(FrameType.goAway, 0, 0, concat(uint32(lastStreamId), uint32(code)));
}

/** A gRPC message with its prefix. */
export function message(body: Uint8Array | string, { compressed = false } = {}): Uint8Array {
  const bytes = typeof body === "string" ? Uint8Array.from(body, (character) => character.charCodeAt(0)) : body;
  return concat(Uint8Array.of(compressed ? 1 : 0), uint32(bytes.length), bytes);
}

/** Headers of a gRPC request. */
export function requestPairs(path: string, more: Pairs = []): Pairs {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ];
}

/** A whole unary gRPC request. */
export function request(streamId: number, path: string, body: string, more: Pairs = []): Uint8Array {
  return concat(headers(streamId, requestPairs(path, more)), data(streamId, message(body), { endStream: true }));
}

/** The frames in `bytes`, and what is left behind the last whole one. */
export function splitFrames(bytes: Uint8Array): { readonly frames: readonly Frame[]; readonly rest: Uint8Array } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= frameHeaderBytes) {
    const size = readUint32(bytes, at) >>> 8;
    const end = at + frameHeaderBytes + size;
    if (end > bytes.length) break;
    frames.push({
      type: bytes[at + 3] as number,
      flags: bytes[at + 4] as number,
      streamId: readUint32(bytes, at + 5),
      payload: bytes.slice(at + frameHeaderBytes, end),
    });
    at = end;
  }
  return { frames, rest: bytes.slice(at) };
}

const typeNames = Object.entries(FrameType);

/** Shows frames in words, one line each; decodes the header blocks of one direction. */
export class FrameDescriber {
  readonly #decoder = new HpackDecoder({ tableBytesMax: 4096, listBytesMax: 1 << 20, pairsMax: 1000 });

  describe(one: Frame): string {
    const name = typeNames.find(([, type]) => type === one.type)?.[0] ?? `type${one.type}`;
    const words = one.streamId === 0 ? [name] : [name, String(one.streamId)];
    words.push(...this.#details(one));
    const ends = one.type === FrameType.data || one.type === FrameType.headers;
    if (ends && (one.flags & Flag.endStream) !== 0) words.push("end");
    if ((one.type === FrameType.settings || one.type === FrameType.ping) && (one.flags & Flag.ack) !== 0) {
      words.push("ack");
    }
    return words.join(" ");
  }

  #details({ type, payload }: Frame): string[] {
    switch (type) {
      case FrameType.headers: {
        const decoded = this.#decoder.decode(payload, 0, payload.length);
        return decoded === undefined ? ["?"] : decoded.fields.map(({ name, value }) => `${name}=${value}`);
      }
      case FrameType.data:
        return [
          payload.length > 40 ? `${payload.length} bytes` : JSON.stringify(latin1String(payload, 0, payload.length)),
        ];
      case FrameType.resetStream:
        return [errorName(readUint32(payload, 0))];
      case FrameType.goAway: {
        const debug = latin1String(payload, 8, payload.length);
        return [String(readUint32(payload, 0)), errorName(readUint32(payload, 4)), ...(debug === "" ? [] : [debug])];
      }
      case FrameType.windowUpdate:
        return [`+${readUint32(payload, 0)}`];
      case FrameType.ping:
        return [String(readUint32(payload, 4))];
      case FrameType.settings: {
        const words: string[] = [];
        for (let at = 0; at < payload.length; at += 6) words.push(`${payload[at + 1]}=${readUint32(payload, at + 2)}`);
        return words;
      }
      default:
        return [];
    }
  }
}
