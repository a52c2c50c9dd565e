import { type Command, flag } from "../command.js";
import { badArguments, CtlError, ExitCode, messageOf } from "../exit.js";
import { parseInt64 } from "../go-text.js";

export const compactionCommand: Command = {
  name: "compaction",
  usage: "[options] <revision>",
  short: "Compacts the event history in etcd",
  group: "Key-value commands",
  flags: [flag("physical", "'true' to wait for compaction to physically remove all old revisions")],
  run: async ({ args, flags, client, io, timed }) => {
    const [text] = args;
    if (text === undefined || args.length > 1) throw badArguments("compaction command needs 1 argument");
    const revision = Number(revisionOf(text));
    await client().kv.compact(revision, { ...timed, physical: flags.bool("physical") });
    io.out(`compacted revision ${revision}\n`);
  },
};

function revisionOf(text: string): bigint {
  try {
    return parseInt64(text);
  } catch (error) {
    throw new CtlError(ExitCode.error, messageOf(error));
  }
}
