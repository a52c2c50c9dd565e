/** etcdserverpb.Maintenance. Source: etcd server/etcdserver/api/v3rpc/maintenance.go. */

import { InternalField, maintenance } from "@etcd-ts/api";
import type { AlarmMember } from "@etcd-ts/api/etcdserverpb";
import type { ServiceTable } from "@etcd-ts/grpc";
import { cancelDowngrade, enableDowngrade, validateDowngrade } from "../node/downgrade.js";
import type { Member } from "../node/member.js";
import type { Refusal } from "../node/refusal.js";
import { serverVersion } from "../version.js";
import { unary } from "./method.js";
import { refuseProposal } from "./proposal.js";
import { snapshotService } from "./snapshot.js";
import { refuse } from "./status.js";

/** Source: etcd ErrUnknownMethod, which is not mapped. */
const unknownMethod: Refusal = { code: 2, message: "etcdserver: unknown method" };
const alarmNames: Readonly<Record<number, string>> = { 1: "NOSPACE", 2: "CORRUPT" };

/** The one-line text form of protobuf, zero fields left out. */
function alarmText(alarm: AlarmMember): string {
  const parts: string[] = [];
  if (alarm.memberId !== 0n) parts.push(`memberID:${alarm.memberId}`);
  if (alarm.alarm !== 0) parts.push(`alarm:${alarmNames[alarm.alarm] ?? alarm.alarm}`);
  return parts.join(" ");
}

export function maintenanceServices(member: Member): ServiceTable {
  return new Map([
    snapshotService(member),
    unary(maintenance.status, (_call, _request, respond) => {
      const { membership, alarms, backend } = member;
      const downgrade = membership.downgrade();
      const errors = member.leader === 0n ? ["etcdserver: no leader"] : [];
      for (const alarm of alarms.get(0)) errors.push(alarmText(alarm));
      respond({
        header: member.headerFields(member.mvcc.currentRevision()),
        version: serverVersion,
        dbSize: backend.sizeBytes(),
        dbSizeInUse: backend.sizeInUseBytes(),
        dbSizeQuota: member.quotaBytes,
        leader: member.leader,
        raftIndex: member.committedIndex,
        raftAppliedIndex: member.appliedIndex,
        raftTerm: member.appliedTerm,
        isLearner: member.isLearner,
        storageVersion: member.storageVersion,
        errors,
        downgradeInfo: { enabled: downgrade.enabled, targetVersion: downgrade.targetVersion },
      });
    }),

    unary(maintenance.alarm, (call, _request, respond, bytes) => {
      member.propose(InternalField.alarm, bytes, (outcome) => {
        if (outcome.kind !== "alarm") return refuseProposal(call, outcome);
        respond({ header: member.headerFields(member.mvcc.currentRevision()), alarms: outcome.alarms });
      });
    }),

    unary(maintenance.defragment, (call, _request, respond) => {
      member.defragment().then(
        (refusal) => (refusal === undefined ? respond({}) : refuse(call, refusal)),
        (error: unknown) => refuse(call, { code: 13, message: String(error) }),
      );
    }),

    unary(maintenance.moveLeader, (call, { targetId }, respond) => {
      member.moveLeader(targetId, (refusal) => (refusal === undefined ? respond({}) : refuse(call, refusal)));
    }),

    unary(maintenance.downgrade, (call, { action, version }, respond) => {
      const finish = (refusal: Refusal | undefined): void => {
        if (refusal !== undefined) return refuse(call, refusal);
        const clusterVersion = member.membership.clusterVersion() ?? "";
        const header = member.headerFields(member.mvcc.currentRevision());
        respond({ header, version: clusterVersion.split(".").slice(0, 2).join(".") });
      };
      switch (action) {
        case 0:
          return validateDowngrade(member, version, finish);
        case 1:
          return enableDowngrade(member, version, finish);
        case 2:
          return cancelDowngrade(member, () => finish(undefined));
        default:
          return refuse(call, unknownMethod);
      }
    }),

    unary(maintenance.hash, (call, _request, respond) => {
      member.images.hash().then(
        (hash) => respond({ header: member.headerFields(member.mvcc.currentRevision()), hash }),
        () => refuse(call, "stopped"),
      );
    }),

    unary(maintenance.hashKv, (call, request, respond) => {
      const current = member.mvcc.currentRevision();
      member.runSliced(member.mvcc.startHash(request.revision), (result) => {
        if (typeof result === "string") return refuse(call, result);
        respond({
          header: member.headerFields(current),
          hash: result.hash,
          compactRevision: result.compactRevision,
          hashRevision: result.hashRevision,
        });
      });
    }),
  ]);
}
