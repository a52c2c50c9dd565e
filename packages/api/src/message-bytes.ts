import type { MessageCodec } from "./method.js";

/**
 * A message's bytes, in a buffer of their own. Of a type that no method of a service has for request or answer, the
 * codec is `{ size: sizeM, encode: encodeM }`.
 */
export function messageBytes<Init>(
  codec: Pick<MessageCodec<unknown, Init>, "size" | "encode">,
  message: Init,
): Uint8Array {
  const bytes = new Uint8Array(codec.size(message));
  codec.encode(message, bytes, 0);
  return bytes;
}
