/** Cuts the power at random points of a shim log of programs/storage-writer.ts and checks what is left each time. */

import { PowerLoss, readShimLog } from "../power-loss.js";
import { seededDraw } from "./random.js";
import { acknowledged, checkStorage } from "./storage-model.js";

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
  for (const position of positions) {
    loss.advanceTo(position);
    const acks = acknowledged(new TextDecoder().decode(loss.readLive("acks")));
    loss.build(options.target, draw);
    try {
      await checkStorage(options.target, acks);
    } catch (error) {
      failures.push(`seed ${options.seed}, operation ${position}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return { passed: options.cuts - failures.length, failures };
}
