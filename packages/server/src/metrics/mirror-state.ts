/** Brings the metrics up to date that mirror a member's state; to be called before a scrape. */

import type { Member } from "../node/member.js";
import { serverVersion } from "../version.js";
import type { MemberMetrics } from "./member-metrics.js";

export function mirrorState(member: Member, metrics: MemberMetrics): void {
  const { mvcc, watchHub, backend, settings } = member;
  metrics.memberId = member.memberId.toString(16);
  metrics.serverVersion = serverVersion;
  metrics.clusterVersion = (member.membership.clusterVersion() ?? "").split(".").slice(0, 2).join(".");
  metrics.hasLeader = member.leader === 0n ? 0 : 1;
  metrics.isLeader = member.isLeader ? 1 : 0;
  metrics.isLearner = member.isLearner ? 1 : 0;
  metrics.proposalsCommitted = member.committedIndex;
  metrics.proposalsApplied = member.appliedIndex;
  metrics.proposalsPending = member.proposalsPending;
  metrics.keys = mvcc.keyCount;
  metrics.currentRevision = mvcc.currentRevision();
  metrics.compactRevision = mvcc.compactRevision();
  metrics.watchStreams = watchHub.streamCount;
  metrics.watchers = watchHub.watcherCount;
  metrics.slowWatchers = watchHub.slowWatcherCount;
  metrics.events = watchHub.eventsTotal;
  metrics.pendingEvents = watchHub.pendingEvents();
  metrics.dbSizeBytes = backend.sizeBytes();
  metrics.dbSizeInUseBytes = backend.sizeInUseBytes();
  metrics.quotaBackendBytes = Math.max(settings.quotaBackendBytes, 0) || member.quotaBytes;
}
