/** Defragmentation as a member is asked for it: what is logged, measured and answered around it. */

import type { Clock, Logger } from "../env.js";
import type { MemberMetrics } from "../metrics/member-metrics.js";
import type { Defragmentation } from "../snapshot/defragmentation.js";
import type { Live } from "./member-parts.js";
import type { Refusal } from "./refusal.js";

export interface DefragmentParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MemberMetrics;
  readonly defragmentation: Defragmentation;
}

/** See `Member.defragment`. */
export async function defragment(
  { backend, database }: Live,
  { clock, logger, metrics, defragmentation }: DefragmentParts,
): Promise<Refusal | undefined> {
  const startedAt = clock.now();
  const before = backend.sizeBytes();
  logger.log("info", "starting defragment", { "current-db-size-bytes": before });
  metrics.defragInflight = 1;
  try {
    await backend.flush();
    await defragmentation.run(database);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    logger.log("warn", "failed to defragment", { error: text });
    return { code: 2, message: text };
  } finally {
    metrics.defragInflight = defragmentation.isRunning ? 1 : 0;
  }
  const seconds = (clock.now() - startedAt) / 1000;
  metrics.backendDefragSeconds.observe(seconds);
  backend.refreshSize();
  logger.log("info", "finished defragment", {
    "current-db-size-bytes-diff": backend.sizeBytes() - before,
    "current-db-size-bytes": backend.sizeBytes(),
    took: `${seconds.toFixed(3)}s`,
  });
  return undefined;
}
