/**
 * Asks the leader's peer port to renew or look at a lease.
 *
 * Source: etcd server/lease/leasehttp/http.go, server/etcdserver/v3_server.go LeaseRenew, LeaseTimeToLive.
 */

import { latin1FromBytes, lease, messageBytes } from "@etcd-ts/api";
import { decodeLeaseKeepAliveResponse } from "@etcd-ts/api/etcdserverpb";
import {
  decodeLeaseInternalResponse,
  encodeLeaseInternalRequest,
  sizeLeaseInternalRequest,
} from "@etcd-ts/api/leasepb";
import type { LeaseForwarding, RenewAnswer, TimeToLiveAnswer } from "../node/leases.js";
import type { Refusal } from "../node/refusal.js";
import { askLeader, type LeaderLookup } from "./leader-requests.js";

const protobuf = { "content-type": "application/protobuf" };
const renewPauseMs = 50;

export function forwardLeases(lookup: LeaderLookup): LeaseForwarding {
  return {
    renew(id, done) {
      const body = messageBytes(lease.leaseKeepAlive.request, { id });
      askLeader<RenewAnswer>(
        lookup,
        { path: "/leases", headers: protobuf, body, pauseMs: renewPauseMs },
        (response) => {
          if (response.status === 404) return { refusal: "leaseNotFound" };
          if (response.status !== 200) return undefined;
          const answer = decodeLeaseKeepAliveResponse(response.body);
          return answer.id === id ? { ttl: answer.ttl } : undefined;
        },
      ).then(done, (refusal: Refusal) => done({ refusal }));
    },

    timeToLive(id, keys, done) {
      const request = { leaseTimeToLiveRequest: { id, keys } };
      const body = messageBytes({ size: sizeLeaseInternalRequest, encode: encodeLeaseInternalRequest }, request);
      askLeader<TimeToLiveAnswer>(
        lookup,
        { path: "/leases/internal", headers: protobuf, body, pauseMs: 0 },
        (response) => {
          if (response.status === 404) return { refusal: "leaseNotFound" };
          if (response.status !== 200) return undefined;
          const answer = decodeLeaseInternalResponse(response.body).leaseTimeToLiveResponse;
          if (answer === undefined || answer.id !== id) return undefined;
          return {
            ttl: answer.ttl,
            grantedTtl: answer.grantedTtl,
            keys: answer.keys.map((key) => latin1FromBytes(key)),
          };
        },
      ).then(done, (refusal: Refusal) => done({ refusal }));
    },
  };
}
