/**
 * Asks the leader's peer port to renew or look at a lease.
 *
 * Source: etcd server/lease/leasehttp/http.go, server/etcdserver/v3_server.go LeaseRenew, LeaseTimeToLive.
 */

import { latin1FromBytes } from "@etcd-ts/api";
import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
  sizeLeaseKeepAliveRequest,
} from "@etcd-ts/api/etcdserverpb";
import { decodeLeaseInternalResponse, encodeLeaseInternalRequest, sizeLeaseInternalRequest } from "@etcd-ts/api/leasepb";
import type { Clock, Network, PostResponse } from "../env.js";
import type { LeaseForwarding, RenewAnswer, TimeToLiveAnswer } from "../node/leases.js";
import type { Refusal } from "../node/refusal.js";

/** Source: leasehttp readTimeout-less client; the answer may list all keys of a lease. */
const responseBytesMax = 100 * 1024 * 1024;
const renewPauseMs = 50;

export interface LeaderLookup {
  readonly clock: Clock;
  readonly network: Network;
  readonly requestTimeoutMs: number;
  readonly electionTimeoutMs: number;
  /** Peer URLs of the leader; empty while none is known. */
  leaderUrls(): readonly string[];
}

/** An answer that ends the search, or undefined: the next URL may know better. */
type Verdict<Answer> = Answer | undefined;

export function forwardLeases(lookup: LeaderLookup): LeaseForwarding {
  return {
    renew(id, done) {
      const body = new Uint8Array(sizeLeaseKeepAliveRequest({ id }));
      encodeLeaseKeepAliveRequest({ id }, body, 0);
      ask<RenewAnswer>(lookup, { path: "/leases", body, pauseMs: renewPauseMs }, (response) => {
        if (response.status === 404) return { refusal: "leaseNotFound" };
        if (response.status !== 200) return undefined;
        const answer = decodeLeaseKeepAliveResponse(response.body);
        return answer.id === id ? { ttl: answer.ttl } : undefined;
      }).then(done, (refusal: Refusal) => done({ refusal }));
    },

    timeToLive(id, keys, done) {
      const request = { leaseTimeToLiveRequest: { id, keys } };
      const body = new Uint8Array(sizeLeaseInternalRequest(request));
      encodeLeaseInternalRequest(request, body, 0);
      ask<TimeToLiveAnswer>(lookup, { path: "/leases/internal", body, pauseMs: 0 }, (response) => {
        if (response.status === 404) return { refusal: "leaseNotFound" };
        if (response.status !== 200) return undefined;
        const answer = decodeLeaseInternalResponse(response.body).leaseTimeToLiveResponse;
        if (answer === undefined || answer.id !== id) return undefined;
        return { ttl: answer.ttl, grantedTtl: answer.grantedTtl, keys: answer.keys.map((key) => latin1FromBytes(key)) };
      }).then(done, (refusal: Refusal) => done({ refusal }));
    },
  };
}

/** Tries the leader's URLs in rounds until one answers or the request's time is over. Rejects with a `Refusal`. */
async function ask<Answer>(
  lookup: LeaderLookup,
  request: { readonly path: string; readonly body: Uint8Array; readonly pauseMs: number },
  judge: (response: PostResponse) => Verdict<Answer>,
): Promise<Answer> {
  const { clock, network } = lookup;
  const deadline = clock.now() + lookup.requestTimeoutMs;
  for (;;) {
    const urls = lookup.leaderUrls();
    for (const url of urls) {
      const timeoutMs = Math.max(1, deadline - clock.now());
      const response = await network
        .post({
          url: `${url}${request.path}`,
          method: "POST",
          headers: { "content-type": "application/protobuf" },
          body: request.body,
          timeoutMs,
          responseBytesMax,
        })
        .catch(() => undefined);
      const answer = response === undefined ? undefined : judge(response);
      if (answer !== undefined) return answer;
    }
    const pauseMs = urls.length === 0 ? lookup.electionTimeoutMs : Math.max(request.pauseMs, 1);
    if (clock.now() + pauseMs >= deadline) throw (urls.length === 0 ? "noLeader" : "timeout") satisfies Refusal;
    await new Promise<void>((resolve) => void clock.setTimer(pauseMs, resolve));
  }
}
