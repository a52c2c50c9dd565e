/** Cuts the power at random points of a shim log of programs/storage-writer.ts and checks what is left each time. */

import { PowerLoss, readShimLog } from "../power-loss.js";
import { Checker } from "./checker.js";
import { seededDraw } from "./random.js";
import { acknowledged } from "./storage-model.js";

export interface CutOptions {
  readonly log: string;
  /** The directory that was watched. */
  readonly directory: string;
  /** Directory for what is left; replaced for each cut. */
  readonly target: string;
  readonly cuts: number;
  readonly seed: number;
}

export interface CutResult {
  readonly passed: number;
  /** What was wrong, and at which operation of the log. */
  readonly failures: readonly string[];
}

export async function cutPower(options: CutOptions): Promise<CutResult> {
  const draw = seededDraw(options.seed);
  const loss = new PowerLoss(readShimLog(options.log), options.directory);
  const positions = Array.from({ length: options.cuts }, () => Math.floor(draw() * (loss.length + 1))).sort(
    (a, b) => a - b,
  );
  const failures: string[] = [];
  let checker = new Checker("build/tests/robustness/programs/storage-checker.js");
  for (const position of positions) {
    loss.advanceTo(position);
    const acks = acknowledged(new TextDecoder().decode(loss.readLive("acks")));
    loss.build(options.target, draw);
    const wrong = await checker.check({ directory: options.target, acks });
    if (wrong === undefined) checker = new Checker("build/tests/robustness/programs/storage-checker.js");
    if (wrong !== "") failures.push(`seed ${options.seed}, operation ${position}: ${wrong ?? "the checker died"}`);
  }
  checker.end();
  return { passed: options.cuts - failures.length, failures };
}
