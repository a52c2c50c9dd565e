import { lease } from "@etcd-ts/api";
import type { LeaseKeepAliveResponse, ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import {
  createResponseHeader,
  decodeResponseHeader,
  encodeResponseHeader,
  sizeResponseHeader,
} from "@etcd-ts/api/etcdserverpb";
import { isEtcdError } from "@etcd-ts/client";
import { leaseId } from "../arguments.js";
import { type Command, flag } from "../command.js";
import { badArguments, CtlError, ExitCode, messageOf } from "../exit.js";
import { hexId, parseInt64, quote } from "../go-text.js";
import { encoded, headerMembers, type Printer } from "../printer.js";

const headerCodec = {
  typeName: "etcdserverpb.ResponseHeader",
  decode: decodeResponseHeader,
  size: sizeResponseHeader,
  encode: encodeResponseHeader,
};

export const leaseCommand: Command = {
  name: "lease",
  short: "Lease related commands",
  group: "Key-value commands",
  commands: [
    {
      name: "grant",
      usage: "<ttl>",
      short: "Creates leases",
      run: async ({ args, client, printer, timed }) => {
        const [text] = args;
        if (text === undefined || args.length > 1) throw badArguments("lease grant command needs TTL argument");
        const answer = await client()
          .lease.grant(ttlOf(text), timed)
          .catch((error: unknown) => {
            throw new CtlError(ExitCode.error, `failed to grant lease (${messageOf(error)})`);
          });
        const { header, id, ttl, error } = answer;
        printer.print({
          simple: () => `lease ${shown(id)} granted with TTL(${ttl}s)\n`,
          fields: () => `${printer.header(header)}"ID" : ${printer.id(id)}\n"TTL" : ${ttl}\n`,
          json: () => flat(header, `"ID":${id},"TTL":${ttl},"Error":${JSON.stringify(error)}`),
          protobuf: () => encoded(headerCodec, header),
        });
      },
    },
    {
      name: "keep-alive",
      usage: "[options] <leaseID>",
      short: "Keeps leases alive (renew)",
      flags: [flag("once", "Resets the keep-alive time to its original value and cobrautl.Exits immediately")],
      run: async ({ args, flags, client, printer, io }) => {
        const [text] = args;
        if (text === undefined || args.length > 1) {
          throw badArguments("lease keep-alive command needs lease ID as argument");
        }
        const id = leaseId(text, "bad lease ID arg");
        if (flags.bool("once")) {
          return printKeepAlive(await badConnection(client().lease.keepAliveOnce(id)), printer);
        }
        try {
          for await (const answer of client().lease.keepAlive(id)) printKeepAlive(answer, printer);
        } catch (error) {
          if (!isEtcdError(error) || error.reason !== "leaseNotFound") throw error;
        }
        if (printer.format === "simple") io.out(`lease ${shown(id)} expired or revoked.\n`);
      },
    },
    {
      name: "list",
      short: "List all active leases",
      run: async ({ client, printer }) => {
        const { header, leases } = await badConnection(client().lease.list());
        printer.print({
          simple: () => `found ${leases.length} leases\n${leases.map(({ id }) => `${shown(id)}\n`).join("")}`,
          fields: () => printer.header(header) + leases.map(({ id }) => `"ID" : ${printer.id(id)}\n`).join(""),
          json: () => flat(header, `"leases":[${leases.map(({ id }) => `{"id":${id}}`).join(",")}]`),
          protobuf: () => encoded(headerCodec, header),
        });
      },
    },
    {
      name: "revoke",
      usage: "<leaseID>",
      short: "Revokes leases",
      run: async ({ args, client, printer, timed }) => {
        const [text] = args;
        if (text === undefined || args.length > 1) throw badArguments("lease revoke command needs 1 argument");
        const id = leaseId(text, "bad lease ID arg");
        const answer = await client()
          .lease.revoke(id, timed)
          .catch((error: unknown) => {
            throw new CtlError(ExitCode.error, `failed to revoke lease (${messageOf(error)})`);
          });
        printer.message(lease.leaseRevoke.response, answer, {
          simple: () => `lease ${shown(id)} revoked\n`,
          fields: () => printer.header(answer.header),
        });
      },
    },
    {
      name: "timetolive",
      usage: "<leaseID> [options]",
      short: "Get lease information",
      flags: [flag("keys", "Get keys attached to this lease")],
      run: async ({ args, flags, client, printer }) => {
        const [text] = args;
        if (text === undefined || args.length > 1) {
          throw badArguments("lease timetolive command needs lease ID as argument");
        }
        const keys = flags.bool("keys");
        const answer = await badConnection(client().lease.timeToLive(leaseId(text, "bad lease ID arg"), { keys }));
        const { header, id, ttl, grantedTtl } = answer;
        printer.print({
          simple: () => {
            if (grantedTtl === 0 && ttl === -1) return `lease ${shown(id)} already expired\n`;
            const names = answer.keys.map((key) => Buffer.from(key).toString()).join(" ");
            const attached = keys ? `, attached keys([${names}])` : "";
            return `lease ${shown(id)} granted with TTL(${grantedTtl}s), remaining(${ttl}s)${attached}\n`;
          },
          fields: () =>
            [
              `${printer.header(header)}"ID" : ${printer.id(id)}\n"TTL" : ${ttl}\n"GrantedTTL" : ${grantedTtl}\n`,
              ...answer.keys.map((key) => `"Key" : ${quote(key)}\n`),
            ].join(""),
          json: () => {
            const list = answer.keys.map((key) => `"${Buffer.from(key).toString("base64")}"`).join(",");
            const members = `"id":${id},"ttl":${ttl},"granted-ttl":${grantedTtl}`;
            return flat(header, `${members},"keys":${answer.keys.length === 0 ? "null" : `[${list}]`}`);
          },
          protobuf: () => encoded(headerCodec, header),
        });
      },
    },
  ],
};

function ttlOf(text: string): number {
  try {
    return Number(parseInt64(text));
  } catch (error) {
    throw badArguments(`bad TTL (${messageOf(error)})`);
  }
}

function shown(id: bigint): string {
  return hexId(id).padStart(16, "0");
}

/** Go's client puts the header's members beside the others. */
function flat(header: ResponseHeader, members: string): string {
  return `{${headerMembers(headerCodec, header)},${members}}\n`;
}

async function badConnection<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new CtlError(ExitCode.badConnection, messageOf(error));
  }
}

function printKeepAlive({ header, id, ttl }: LeaseKeepAliveResponse, printer: Printer): void {
  const known = header ?? createResponseHeader();
  printer.print({
    simple: () => `lease ${shown(id)} keepalived with TTL(${ttl})\n`,
    fields: () => `${printer.header(known)}"ID" : ${printer.id(id)}\n"TTL" : ${ttl}\n`,
    json: () => flat(known, `"ID":${id},"TTL":${ttl}`),
    protobuf: () => encoded(headerCodec, known),
  });
}
