import { expect, test } from "vitest";
import { blockBytes, ImageFile } from "./image-file.js";

/** A file in memory that counts what is read of it. */
class File {
  bytes = new Uint8Array(0);
  reads = 0;

  append(count: number): Uint8Array {
    const part = Uint8Array.from({ length: count }, (_, i) => (this.bytes.length + i) % 251);
    const bytes = new Uint8Array(this.bytes.length + count);
    bytes.set(this.bytes);
    bytes.set(part, this.bytes.length);
    this.bytes = bytes;
    return part;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.reads++;
    return this.bytes.slice(offset, offset + length);
  }
}

async function loaded(image: ImageFile, offset: number, length: number): Promise<Uint8Array> {
  for (;;) {
    const bytes = image.read(offset, length);
    if (bytes !== undefined) return bytes;
    await image.load();
  }
}

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  return (await Promise.race([promise, Promise.resolve().then(() => pending)])) !== pending;
}

test("what is not there yet is waited for, and not read from the file again", async () => {
  const file = new File();
  const image = new ImageFile(file, undefined);
  const wanted = loaded(image, blockBytes + 10, 20);
  image.grown(file.append(blockBytes));
  expect(await isSettled(wanted)).toBe(false);
  image.grown(file.append(blockBytes));
  expect(await wanted).toEqual(file.bytes.slice(blockBytes + 10, blockBytes + 30));
  expect(file.reads).toBe(0);
});

test("the last block has what came, and behind it is nothing", async () => {
  const file = new File();
  const image = new ImageFile(file, undefined);
  const short = loaded(image, 90, 20);
  const none = loaded(new ImageFile(file, 100), 100, 20);
  image.grown(file.append(100));
  expect(await isSettled(short)).toBe(false);
  image.ended();
  expect(await short).toEqual(file.bytes.slice(90, 100));
  expect(await none).toHaveLength(0);
  expect(await loaded(image, 1000, 5)).toHaveLength(0);
});

test("bytes of two blocks are waited for", async () => {
  const file = new File();
  const image = new ImageFile(file, undefined);
  const wanted = loaded(image, blockBytes - 5, 10);
  image.grown(file.append(blockBytes));
  expect(await isSettled(wanted)).toBe(false);
  image.grown(file.append(10));
  expect(await wanted).toEqual(file.bytes.slice(blockBytes - 5, blockBytes + 5));
});

test("of a file that is far ahead the rest is read from the disk", async () => {
  const file = new File();
  const image = new ImageFile(file, undefined);
  image.grown(file.append(40 * blockBytes));
  image.ended();
  for (let number = 0; number < 40; number++) {
    const at = number * blockBytes;
    expect(await loaded(image, at, 50)).toEqual(file.bytes.slice(at, at + 50));
  }
  expect(file.reads).toBe(8);
});

test("a transfer that breaks is told to who waits for it", async () => {
  const image = new ImageFile(new File(), undefined);
  const wanted = loaded(image, 0, 10);
  image.failed(new Error("connection reset"));
  await expect(wanted).rejects.toThrow("connection reset");
});
