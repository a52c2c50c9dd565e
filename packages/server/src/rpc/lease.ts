/** etcdserverpb.Lease. Source: etcd server/etcdserver/api/v3rpc/lease.go. */

import { bytesFromLatin1, InternalField, lease, messageBytes } from "@etcd-ts/api";
import type { ServerCall, ServiceTable, StreamReceiver } from "@etcd-ts/grpc";
import { costOfLeaseGrant } from "@etcd-ts/store";
import type { Member } from "../node/member.js";
import { deadlineExceeded } from "../node/refusal.js";
import { decodeRequest, sendWith, unary } from "./method.js";
import { refuseProposal } from "./proposal.js";
import { respondList } from "./respond-list.js";
import { refuse } from "./status.js";

/** Keepalives of one stream that wait for their answer; more stop the reading of the stream. */
const keepAlivesPendingMax = 1024;

export function leaseServices(member: Member): ServiceTable {
  return new Map([
    unary(lease.leaseGrant, (call, request, respond) => {
      if (!member.quota.allows(member.backend, costOfLeaseGrant(request)))
        return member.raiseNoSpace(() => refuse(call, "noSpace"));
      const id = request.id === 0n ? member.ids.nextLeaseId() : request.id;
      const bytes = messageBytes(lease.leaseGrant.request, { id, ttl: request.ttl });
      member.propose(InternalField.leaseGrant, bytes, (outcome) => {
        if (outcome.kind !== "leaseGrant") return refuseProposal(call, outcome);
        respond({ header: member.headerFields(outcome.revision), id: outcome.id, ttl: outcome.ttl });
      });
    }),

    unary(lease.leaseRevoke, (call, _request, respond, bytes) => {
      member.propose(InternalField.leaseRevoke, bytes, (outcome) => {
        if (outcome.kind !== "leaseRevoke") return refuseProposal(call, outcome);
        respond({ header: member.headerFields(outcome.revision) });
      });
    }),

    unary(lease.leaseTimeToLive, (call, request, respond) => {
      member.leases.timeToLive(request.id, request.keys, (result) => {
        const header = member.headerFields(member.mvcc.currentRevision());
        if (!("refusal" in result)) {
          const { ttl, grantedTtl } = result;
          return respondList(member.clock, call, lease.leaseTimeToLive.response, {
            head: { header, id: request.id, ttl, grantedTtl },
            items: result.keys,
            partOf: (keys) => ({ keys: keys.map(bytesFromLatin1) }),
          });
        }
        if (result.refusal !== "leaseNotFound") return refuse(call, result.refusal);
        respond({ header, id: request.id, ttl: -1 });
      });
    }),

    unary(lease.leaseLeases, (call) => {
      respondList(member.clock, call, lease.leaseLeases.response, {
        head: { header: member.headerFields(member.mvcc.currentRevision()) },
        items: (budget) => member.lessor.listTask(budget),
        partOf: (ids) => ({ leases: ids.map((id) => ({ id })) }),
      });
    }),

    [lease.leaseKeepAlive.path, { kind: "stream", open: (call) => keepAlive(member, call) }],
  ]);
}

/**
 * Each request has one answer, in order; an unknown lease is answered with TTL 0, any other failure ends the stream.
 */
function keepAlive(member: Member, call: ServerCall): StreamReceiver {
  let pending = 0;
  let halfClosed = false;
  const finish = (): void => {
    if (halfClosed && pending === 0) call.end({ code: 0, message: "" });
  };
  call.onDrain(() => call.resumeReceiving());
  return {
    onMessage(bytes) {
      const request = decodeRequest(call, lease.leaseKeepAlive.request, bytes);
      if (request === undefined) return;
      const header = member.headerFields(member.mvcc.currentRevision());
      if (++pending >= keepAlivesPendingMax) call.pauseReceiving();
      member.leases.renew(request.id, (result) => {
        if (pending-- === keepAlivesPendingMax) call.resumeReceiving();
        if (call.ended) return;
        if ("refusal" in result && result.refusal !== "leaseNotFound") {
          return refuse(call, result.refusal === "timeout" ? deadlineExceeded : result.refusal);
        }
        const ttl = "ttl" in result ? result.ttl : 0;
        if (!sendWith(call, lease.leaseKeepAlive.response, { header, id: request.id, ttl })) call.pauseReceiving();
        finish();
      });
    },
    onHalfClose() {
      halfClosed = true;
      finish();
    },
  };
}
