import { expect, test } from "vitest";
import { MessageReader } from "./message-reader.js";

/** Of a message of this many bytes, all the same. */
function frame(size: number, fill: number): Uint8Array {
  const bytes = new Uint8Array(5 + size).fill(fill);
  new DataView(bytes.buffer).setUint32(1, size);
  bytes[0] = 0;
  return bytes;
}

function newReader(): MessageReader {
  return new MessageReader({ sizeMax: 1 << 20, encoding: undefined, gunzip: undefined, server: true });
}

test("messages that wait while the sink takes none are copied a few times, however many there are", () => {
  const reader = newReader();
  const count = 1000;
  const RealArray = Uint8Array;
  let allocated = 0;
  globalThis.Uint8Array = class extends RealArray {
    constructor(...args: [number]) {
      super(...args);
      if (typeof args[0] === "number") allocated += args[0];
    }
  } as typeof Uint8Array;
  try {
    for (let i = 0; i < count; i++) {
      const bytes = frame(60, i);
      reader.hold(bytes, 0, bytes.length);
    }
  } finally {
    globalThis.Uint8Array = RealArray;
  }
  expect(reader.heldBytes).toBe(count * 65);
  expect(allocated).toBeLessThan(8 * reader.heldBytes);
  const seen: number[] = [];
  expect(reader.resume({ onMessage: (message) => seen.push(message[59] as number) > 0 })).toBeUndefined();
  expect(seen).toEqual(Array.from({ length: count }, (_, i) => i & 0xff));
});
