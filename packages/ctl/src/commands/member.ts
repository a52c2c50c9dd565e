import { cluster } from "@etcd-ts/api";
import type { Member, ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import { memberId } from "../arguments.js";
import { type Command, flag, stringFlag } from "../command.js";
import { badArguments, CtlError, ExitCode } from "../exit.js";
import { hexId, quote } from "../go-text.js";
import { encoded, jsonLine, type PrintCodec, type Printer, table } from "../printer.js";

const peerUrlsFlag = {
  name: "peer-urls",
  type: "strings",
  default: "",
  help: "comma separated peer URLs for the new member.",
} as const;

export const memberCommand: Command = {
  name: "member",
  short: "Membership related commands",
  group: "Cluster maintenance commands",
  commands: [
    {
      name: "add",
      usage: "<memberName> [options]",
      short: "Adds a member into the cluster",
      flags: [peerUrlsFlag, flag("learner", "indicates if the new member is raft learner")],
      run: async ({ args, flags, client, printer, timed }) => {
        const [name] = args;
        if (name === undefined) throw badArguments("member name not provided");
        if (args.length > 1) throw badArguments("too many arguments");
        const urls = peerUrls(flags.strings("peer-urls"));
        const answer = await client().cluster.memberAdd(urls, { ...timed, learner: flags.bool("learner") });
        const id = answer.member?.id ?? 0n;
        print(printer, cluster.memberAdd.response, answer, () => {
          const initial = answer.members.flatMap((member) => {
            const shown = member.id === id ? name : member.name;
            return member.peerUrls.map((url) => `${shown}=${url}`);
          });
          return [
            `Member ${padded(id)} added to cluster ${padded(answer.header.clusterId)}\n\n`,
            `ETCD_NAME=${quote(name)}\n`,
            `ETCD_INITIAL_CLUSTER=${quote(initial.join(","))}\n`,
            `ETCD_INITIAL_ADVERTISE_PEER_URLS=${quote(urls.join(","))}\n`,
            'ETCD_INITIAL_CLUSTER_STATE="existing"\n',
          ].join("");
        });
      },
    },
    {
      name: "list",
      short: "Lists all members in the cluster",
      flags: [stringFlag("consistency", "Linearizable(l) or Serializable(s)", "l")],
      run: async ({ flags, client, printer, timed }) => {
        const consistency = flags.string("consistency");
        if (consistency !== "l" && consistency !== "s") {
          throw new CtlError(ExitCode.badFeature, `unknown consistency flag ${quote(consistency)}`);
        }
        const answer = await client().cluster.memberList({ ...timed, linearizable: consistency === "l" });
        const rows = answer.members.map(row);
        print(
          printer,
          cluster.memberList.response,
          answer,
          () => rows.map((cells) => `${cells.join(", ")}\n`).join(""),
          {
            fields: () =>
              printer.header(answer.header) + answer.members.map((member) => fields(member, printer)).join(""),
            table: () => table(["ID", "Status", "Name", "Peer Addrs", "Client Addrs", "Is Learner"], rows),
          },
        );
      },
    },
    {
      name: "promote",
      usage: "<memberID>",
      short: "Promotes a non-voting member in the cluster",
      run: async ({ args, client, printer, timed }) => {
        const id = idArgument(args);
        const answer = await client().cluster.memberPromote(id, timed);
        print(printer, cluster.memberPromote.response, answer, () => outcome(id, "promoted in", answer.header));
      },
    },
    {
      name: "remove",
      usage: "<memberID>",
      short: "Removes a member from the cluster",
      run: async ({ args, client, printer, timed }) => {
        const id = idArgument(args);
        const answer = await client().cluster.memberRemove(id, timed);
        print(printer, cluster.memberRemove.response, answer, () => outcome(id, "removed from", answer.header));
      },
    },
    {
      name: "update",
      usage: "<memberID> [options]",
      short: "Updates a member in the cluster",
      flags: [{ ...peerUrlsFlag, help: "comma separated peer URLs for the updated member." }],
      run: async ({ args, flags, client, printer, timed }) => {
        const id = idArgument(args);
        const answer = await client().cluster.memberUpdate(id, peerUrls(flags.strings("peer-urls")), timed);
        print(printer, cluster.memberUpdate.response, answer, () => outcome(id, "updated in", answer.header));
      },
    },
  ],
};

function idArgument(args: readonly string[]): bigint {
  const [text] = args;
  if (text === undefined || args.length > 1) throw badArguments("member ID is not provided");
  return memberId(text);
}

function peerUrls(urls: readonly string[]): readonly string[] {
  if (urls.length === 0) throw badArguments("member peer urls not provided");
  for (const url of urls) {
    if (!/^(https?|unixs?):/.test(url)) {
      throw new CtlError(ExitCode.error, `URL scheme must be http, https, unix, or unixs: ${url}`);
    }
    if (/^https?:/.test(url) && !/^https?:\/\/[^/]+:\d+(\/|$)/.test(url)) {
      throw new CtlError(ExitCode.error, `URL address does not have the form "host:port": ${url}`);
    }
  }
  return urls;
}

function padded(id: bigint): string {
  return hexId(id).padStart(16, " ");
}

function outcome(id: bigint, what: string, { clusterId }: ResponseHeader): string {
  return `Member ${padded(id)} ${what} cluster ${padded(clusterId)}\n`;
}

function row({ id, name, peerUrls: peers, clientUrls, isLearner }: Member): string[] {
  const status = name === "" ? "unstarted" : "started";
  return [hexId(id), status, name, peers.join(","), clientUrls.join(","), String(isLearner)];
}

function fields(member: Member, printer: Printer): string {
  return [
    `"ID" : ${printer.id(member.id)}\n"Name" : ${quote(member.name)}\n`,
    ...member.peerUrls.map((url) => `"PeerURL" : ${quote(url)}\n`),
    ...member.clientUrls.map((url) => `"ClientURL" : ${quote(url)}\n`),
    `"IsLearner" : ${member.isLearner}\n\n`,
  ].join("");
}

function print<M extends object>(
  printer: Printer,
  codec: PrintCodec<M>,
  answer: M,
  simple: () => string,
  rest: { readonly fields?: () => string; readonly table?: () => string } = {},
): void {
  printer.print({
    simple,
    json: () => (printer.hex ? withHexIds(jsonLine(codec, answer)) : jsonLine(codec, answer)),
    protobuf: () => encoded(codec, answer),
    ...rest,
  });
}

/** `--hex` makes strings of the ids in JSON too. */
function withHexIds(json: string): string {
  return json.replace(/"(cluster_id|member_id|ID)":(\d+)/g, (_all, name, id) => `"${name}":"${hexId(BigInt(id))}"`);
}
