import type { ServedRequest } from "../env.js";

/** The whole body of a request. Rejects with RangeError when it is longer than `bytesMax`. */
export async function readBody(request: ServedRequest, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body()) {
    size += chunk.length;
    if (size > bytesMax) throw new RangeError(`body exceeds ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  const all = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.length;
  }
  return all;
}
