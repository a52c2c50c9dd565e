import { createRangeResponse } from "@etcd-ts/api/etcdserverpb";
import { Election, Session } from "@etcd-ts/client";
import { type Command, type Context, flag } from "../command.js";
import { badArguments, CtlError, ExitCode } from "../exit.js";
import { printGet } from "./get.js";
import { aborted } from "./lock.js";

export const electCommand: Command = {
  name: "elect",
  usage: "<election-name> [proposal]",
  short: "Observes and participates in leader election",
  group: "Concurrency commands",
  flags: [flag("listen", "observation mode", { short: "l" })],
  run: async (context) => {
    const { args, flags } = context;
    const [name, proposal] = args;
    if (name === undefined || args.length > 2) {
      throw badArguments("elect takes one election name argument and an optional proposal argument");
    }
    if (flags.bool("listen")) {
      if (proposal !== undefined) throw badArguments("proposal argument not allowed with -l");
      return observe(context, name);
    }
    if (proposal === undefined) throw badArguments("no proposal argument but -l not set");
    return campaign(context, name, proposal);
  },
};

async function observe({ client, io, printer }: Context, name: string): Promise<void> {
  const interruption = io.interruption();
  const election = new Election({ client: client(), leaseId: 0n }, name);
  try {
    for await (const { header, kv } of election.observe({ signal: interruption })) {
      printGet(createRangeResponse({ header, kvs: [kv] }), printer);
    }
  } catch (error) {
    if (!interruption.aborted) throw error;
  }
  if (!interruption.aborted) throw new CtlError(ExitCode.error, "elect: observer lost");
}

async function campaign({ client, io, printer }: Context, name: string, proposal: string): Promise<void> {
  const interruption = io.interruption();
  const session = await Session.create(client());
  try {
    const election = new Election(session, name);
    const signal = AbortSignal.any([interruption, session.lost]);
    await election.campaign(proposal, { signal });
    const { leadership } = election;
    if (leadership !== undefined) printGet(await client().kv.get(leadership.key), printer);
    await aborted(signal);
    if (session.lost.aborted) throw new CtlError(ExitCode.error, "elect: session expired");
    await election.resign();
  } finally {
    await session.close();
  }
}
