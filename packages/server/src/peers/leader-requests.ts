/** Requests that only the leader can answer, sent to its peer port. */

import { DecodeError } from "@etcd-ts/api";
import type { Clock, Network, PostResponse } from "../env.js";
import type { Refusal } from "../node/refusal.js";

/** The answer may list all keys of a lease. Source: etcd leasehttp. */
const responseBytesMax = 100 * 1024 * 1024;

export interface LeaderLookup {
  readonly clock: Clock;
  readonly network: Network;
  readonly requestTimeoutMs: number;
  readonly electionTimeoutMs: number;
  /** Peer URLs of the leader; empty while none is known. */
  leaderUrls(): readonly string[];
}

export interface LeaderRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Between two rounds. */
  readonly pauseMs: number;
}

/** An answer that ends the search, or undefined: the next URL may know better. */
type Verdict<Answer> = Answer | undefined;

/** Tries the leader's URLs in rounds until one answers or the request's time is over. Rejects with a `Refusal`. */
export async function askLeader<Answer>(
  lookup: LeaderLookup,
  request: LeaderRequest,
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
          headers: request.headers,
          body: request.body,
          timeoutMs,
          responseBytesMax,
        })
        .catch(() => undefined);
      const answer = response === undefined ? undefined : judged(response, judge);
      if (answer !== undefined) return answer;
    }
    const pauseMs = urls.length === 0 ? lookup.electionTimeoutMs : Math.max(request.pauseMs, 1);
    if (clock.now() + pauseMs >= deadline) throw (urls.length === 0 ? "noLeader" : "timeout") satisfies Refusal;
    await new Promise<void>((resolve) => void clock.setTimer(pauseMs, resolve));
  }
}

/** An answer that cannot be decoded is as good as none. */
function judged<Answer>(response: PostResponse, judge: (response: PostResponse) => Verdict<Answer>): Verdict<Answer> {
  try {
    return judge(response);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
