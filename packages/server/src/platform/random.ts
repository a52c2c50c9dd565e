import { randomBytes, randomInt } from "node:crypto";
import type { Random } from "../env.js";

/** The system's randomness. */
export const nodeRandom: Random = {
  integer: (bound: number) => randomInt(bound),
  bytes: (length: number) => new Uint8Array(randomBytes(length)),
};
