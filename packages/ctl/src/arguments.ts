/** Arguments that several commands share. */

import { badArguments, messageOf } from "./exit.js";
import { parseInt64, parseUint64 } from "./go-text.js";

/** A lease id in hexadecimal. */
export function leaseId(text: string, what = "bad lease ID"): bigint {
  try {
    return parseInt64(text, 16);
  } catch (error) {
    throw badArguments(`${what} (${messageOf(error)}), expecting ID in Hex`);
  }
}

/** A member id in hexadecimal. */
export function memberId(text: string): bigint {
  try {
    return parseUint64(text, 16);
  } catch (error) {
    throw badArguments(`bad member ID arg (${messageOf(error)}), expecting ID in Hex`);
  }
}

/** Arguments are text in the terminal's encoding: keys and values are its bytes. */
export function argumentBytes(text: string): Uint8Array {
  return Buffer.from(text);
}

/** Source: etcdctl reads both as a range from the key on. */
export function checkRangeFlags(prefix: boolean, fromKey: boolean, rangeEnd: string | undefined): void {
  if (prefix && fromKey) throw badArguments("`--prefix` and `--from-key` cannot be set at the same time, choose one");
  if ((prefix || fromKey) && rangeEnd !== undefined) {
    throw badArguments("too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
  }
}
