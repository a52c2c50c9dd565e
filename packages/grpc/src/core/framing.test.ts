import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, frame, message } from "../testing/frames.js";
import { FrameReader } from "./frame-reader.js";
import { MessageReader } from "./message-reader.js";

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const ends = [...sorted, bytes.length];
  return ends.map((end, i) => bytes.slice(i === 0 ? 0 : ends[i - 1], end));
}

const places = fc.array(fc.nat(), { maxLength: 20 });

describe("FrameReader", () => {
  it("finds the same frames however the bytes are cut", () => {
    const one = fc.record({
      type: fc.nat(12),
      flags: fc.nat(255),
      streamId: fc.nat(0x7fff_ffff),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(16_384).map((size) => new Uint8Array(size).fill(size)),
      ),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 10 }), places, (frames, at) => {
        const bytes = concat(...frames.map((f) => frame(f.type, f.flags, f.streamId, f.payload)));
        const seen: unknown[] = [];
        const reader = new FrameReader({
          onFrame: (type, flags, streamId, from, start, end) => {
            seen.push({ type, flags, streamId, payload: from.slice(start, end) });
            return true;
          },
          onFrameTooLarge: () => expect.unreachable(),
        });
        for (const chunk of cut(bytes, at)) reader.push(chunk, 0);
        expect(seen).toEqual(frames);
        expect(reader.midFrame).toBe(false);
      }),
    );
  });

  it("refuses a frame by its header alone", () => {
    const large: number[] = [];
    const reader = new FrameReader({
      onFrame: () => expect.unreachable(),
      onFrameTooLarge: (_type, _id, size) => large.push(size),
    });
    for (const byte of [0x00, 0x40, 0x01, 0, 0, 0, 0, 0, 1, 7, 7]) reader.push(Uint8Array.of(byte), 0);
    expect(large).toEqual([16_385]);
  });

  it("stops when told to", () => {
    let count = 0;
    const reader = new FrameReader({ onFrame: () => ++count < 2, onFrameTooLarge: () => undefined });
    const three = concat(frame(6, 0, 0), frame(6, 0, 0), frame(6, 0, 0));
    reader.push(three, 0);
    reader.push(three, 0);
    expect(count).toBe(2);
  });
});

describe("MessageReader", () => {
  const config = { sizeMax: 1000, encoding: undefined, gunzip: undefined, server: true };

  it("finds the same messages however the bytes are cut, and whenever the sink stops", () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 });
    fc.assert(
      fc.property(bodies, places, fc.array(fc.boolean(), { maxLength: 20 }), (messages, at, stops) => {
        const reader = new MessageReader(config);
        const seen: Uint8Array[] = [];
        let stopped = false;
        const sink = {
          onMessage: (bytes: Uint8Array) => {
            seen.push(bytes.slice());
            stopped = stops[seen.length] ?? false;
            return !stopped;
          },
        };
        for (const chunk of cut(concat(...messages.map((body) => message(body))), at)) {
          if (stopped) reader.hold(chunk, 0, chunk.length);
          else expect(reader.push(chunk, 0, chunk.length, sink)).toBeUndefined();
        }
        while (stopped) {
          stopped = false;
          expect(reader.resume(sink)).toBeUndefined();
        }
        expect(seen).toEqual(messages);
        expect(reader.heldBytes).toBe(0);
      }),
    );
  });

  it.each([
    ["too long", Uint8Array.of(0, 0, 0, 3, 233), "grpc: received message larger than max (1001 vs. 1000)"],
    [
      "compressed, unannounced",
      Uint8Array.of(1, 0, 0, 0, 0),
      "grpc: compressed flag set with identity or empty encoding",
    ],
    ["of an unknown format", Uint8Array.of(2, 0, 0, 0, 0), "grpc: received unexpected payload format 2"],
  ])("refuses a message that is %s by its prefix", (_name, bytes, text) => {
    expect(new MessageReader(config).push(bytes, 0, 5, { onMessage: () => true })?.message).toBe(text);
  });

  it("does not reserve memory for what is only announced", () => {
    const reader = new MessageReader({ ...config, sizeMax: 2 ** 31 });
    const bytes = concat(Uint8Array.of(0, 0x7f, 0xff, 0xff, 0xff), new Uint8Array(10));
    expect(reader.push(bytes, 0, bytes.length, { onMessage: () => true })).toBeUndefined();
    expect(reader.heldBytes).toBe(15);
  });
});
