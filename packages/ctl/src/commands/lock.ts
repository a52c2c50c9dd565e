import { Mutex, Session } from "@etcd-ts/client";
import { type Command, type Context, intFlag } from "../command.js";
import { badArguments, CtlError, ExitCode } from "../exit.js";
import { printGet } from "./get.js";

/** Seconds of a session that asks for none. */
const defaultTtl = 60;

export const lockCommand: Command = {
  name: "lock",
  usage: "<lockname> [exec-command arg1 arg2 ...]",
  short: "Acquires a named lock",
  group: "Concurrency commands",
  flags: [{ ...intFlag("ttl", "timeout for session", "10"), type: "int" }],
  run: async (context) => {
    const { args, flags, client, io } = context;
    const [name, ...command] = args;
    if (name === undefined) {
      throw badArguments("lock takes a lock name argument and an optional command to execute");
    }
    const interruption = io.interruption();
    const session = await Session.create(client(), { ttl: flags.number("ttl") || defaultTtl });
    try {
      await hold(context, session, name, command, interruption);
    } finally {
      await session.close();
    }
  },
};

async function hold(
  { client, io, printer }: Context,
  session: Session,
  name: string,
  command: readonly string[],
  interruption: AbortSignal,
): Promise<void> {
  const mutex = new Mutex(session, name);
  const header = await mutex.lock({ signal: AbortSignal.any([interruption, session.lost]) });
  if (command.length > 0) {
    const status = await io.execute(command, {
      ETCD_LOCK_KEY: Buffer.from(mutex.key).toString(),
      ETCD_LOCK_REV: String(header.revision),
    });
    await mutex.unlock();
    if (typeof status === "string") throw new CtlError(ExitCode.error, `signal: ${status}`);
    if (status !== 0) throw new CtlError(status, `exit status ${status}`);
    return;
  }
  const own = await client().kv.get(mutex.key);
  if (own.kvs.length === 0) throw new CtlError(ExitCode.error, "lock lost on init");
  printGet(own, printer);
  await aborted(AbortSignal.any([interruption, session.lost]));
  if (session.lost.aborted) throw new CtlError(ExitCode.error, "session expired");
  await mutex.unlock();
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
