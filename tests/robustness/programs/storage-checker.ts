/**
 * Checks what is left after power cuts, in a process of its own, since a damaged database may end it. Each line of its
 * input is `{ directory, acks }`; each line of its output what is wrong, or nothing.
 */

import { createInterface } from "node:readline";
import { checkStorage } from "../support/storage-model.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { directory, acks } = JSON.parse(line) as { directory: string; acks: { log: number; db: number } };
  let wrong = "";
  try {
    await checkStorage(directory, acks);
  } catch (error) {
    wrong = error instanceof Error ? error.message : String(error);
  }
  process.stdout.write(`${wrong.replaceAll("\n", " ")}\n`);
}
