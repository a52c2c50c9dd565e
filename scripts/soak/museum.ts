/** `npm run soak -- museum [--seeds N] [NAME…]`: brings past bugs back one by one; the simulator must find each. */

import { runMuseum } from "@etcd-ts/sim";

export function run(args: string[]): Promise<{ readonly passed: number; readonly failed: number }> {
  return runMuseum(args, (line) => console.log(line));
}
