/** v3electionpb.Election. Source: etcd server/etcdserver/api/v3election/election.go. */

import { election } from "@etcd-ts/api";
import type { LeaderKey } from "@etcd-ts/api/v3electionpb";
import { Election, type EtcdClient, type LeaseHolder } from "@etcd-ts/client";
import type { ServerCall, ServiceTable } from "@etcd-ts/grpc";
import { decodeRequest, sendWith, unary } from "./method.js";
import { type CallerContext, leaseHolder, serve } from "./own-client.js";

export function electionServices(client: EtcdClient): ServiceTable {
  return new Map([
    unary(election.campaign, (call, request, respond) => {
      const [name, value] = [request.name.slice(), request.value.slice()];
      serve(call, async (context) => {
        const holder = await leaseHolder(client, request.lease, context);
        const candidate = new Election(holder, name);
        await candidate.campaign(value, context);
        const { leadership, header } = candidate;
        const leader = { name, key: leadership?.key, rev: leadership?.revision, lease: holder.leaseId };
        respond({ header, leader });
      });
    }),

    unary(election.proclaim, (call, request, respond) => {
      const [leader, value] = [copyOf(request.leader), request.value.slice()];
      serve(call, async (context) => {
        const candidate = await resumed(client, leader, context);
        await candidate.proclaim(value, context);
        respond({ header: candidate.header });
      });
    }),

    unary(election.resign, (call, request, respond) => {
      const leader = copyOf(request.leader);
      serve(call, async (context) => {
        const candidate = await resumed(client, leader, context);
        await candidate.resign(context);
        respond({ header: candidate.header });
      });
    }),

    unary(election.leader, (call, request, respond) => {
      const name = request.name.slice();
      serve(call, async (context) => {
        respond(await new Election(onlooker(client), name).leader(context));
      });
    }),

    [
      election.observe.path,
      {
        kind: "request",
        handle: (call, bytes) => {
          const request = decodeRequest(call, election.observe.request, bytes);
          if (request === undefined) return;
          const name = request.name.slice();
          serve(call, (context) => observe(call, new Election(onlooker(client), name), context));
        },
      },
    ],
  ]);
}

/** Who only looks needs no lease. */
function onlooker(client: EtcdClient): LeaseHolder {
  return { client, leaseId: 0n };
}

function copyOf(leader: LeaderKey | undefined): LeaderKey | undefined {
  return leader === undefined ? undefined : { ...leader, name: leader.name.slice(), key: leader.key.slice() };
}

async function resumed(client: EtcdClient, leader: LeaderKey | undefined, context: CallerContext): Promise<Election> {
  if (leader === undefined) throw new Error('"leader" field must be provided');
  const holder = await leaseHolder(client, leader.lease, context);
  return new Election(holder, leader.name, { key: leader.key, revision: leader.rev });
}

async function observe(call: ServerCall, subject: Election, context: CallerContext): Promise<void> {
  let drained: () => void = () => {};
  call.onDrain(() => drained());
  context.signal.addEventListener("abort", () => drained());
  for await (const state of subject.observe(context)) {
    if (call.ended) return;
    if (sendWith(call, election.observe.response, state)) continue;
    await new Promise<void>((resolve) => {
      drained = resolve;
    });
  }
}
