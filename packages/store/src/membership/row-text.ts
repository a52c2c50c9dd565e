import { decodeUtf8 } from "@etcd-ts/api";
import { assert } from "../assert.js";

/** The text of a stored row. Rows are our own or another member's: what is not UTF-8 is corruption, and throws. */
export function rowText(row: Uint8Array): string {
  const text = decodeUtf8(row, 0, row.length);
  assert(text !== undefined, "a stored text is UTF-8");
  return text;
}
