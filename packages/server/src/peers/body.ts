import { concatBytes } from "@etcd-ts/api";
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
  return concatBytes(chunks);
}

/** The pieces as they are, each reported with its bytes when it is taken. */
export async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  report: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    report(piece.length);
    yield piece;
  }
}
