import { gunzipSync } from "node:zlib";
import type { Gunzip } from "../core/message-reader.js";

/** Inflates in the loop: the output is bounded by the message limit, so that the work is too. */
export const nodeGunzip: Gunzip = (bytes, sizeMax) => {
  try {
    const message = gunzipSync(bytes, { maxOutputLength: Math.max(1, sizeMax) });
    return new Uint8Array(message.buffer, message.byteOffset, message.length);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE" ? "too large" : "invalid";
  }
};
