import { auth, equalBytes, prefixRangeEnd } from "@etcd-ts/api";
import { type Permission, Permission_Type } from "@etcd-ts/api/authpb";
import { type AuthRoleGetResponse, createResponseHeader, type ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import type { Answer, RangeOptions } from "@etcd-ts/client";
import { argumentBytes, checkRangeFlags } from "../arguments.js";
import { type Command, type Context, flag } from "../command.js";
import { badArguments } from "../exit.js";
import type { FlagValues } from "../flags.js";
import { quote } from "../go-text.js";
import type { PrintCodec, Printer } from "../printer.js";

const permissionNames: Readonly<Record<number, string>> = { 0: "READ", 1: "WRITE", 2: "READWRITE" };
const openEnd = Uint8Array.of(0);

export const roleCommand: Command = {
  name: "role",
  short: "Role related commands",
  group: "Authentication commands",
  commands: [
    {
      name: "add",
      usage: "<role name>",
      short: "Adds a new role",
      run: async (context) => {
        const name = only(context.args, "role add command requires role name as its argument");
        const answer = await context.client().auth.roleAdd(name, context.timed);
        done(context, auth.roleAdd.response, answer, `Role ${name} created\n`);
      },
    },
    {
      name: "delete",
      usage: "<role name>",
      short: "Deletes a role",
      run: async (context) => {
        const name = only(context.args, "role delete command requires role name as its argument");
        const answer = await context.client().auth.roleDelete(name, context.timed);
        done(context, auth.roleDelete.response, answer, `Role ${name} deleted\n`);
      },
    },
    {
      name: "get",
      usage: "<role name>",
      short: "Gets detailed information of a role",
      run: async ({ args, client, printer, timed }) => {
        const name = only(args, "role get command requires role name as its argument");
        printRole(name, await client().auth.roleGet(name, timed), printer);
      },
    },
    {
      name: "grant-permission",
      usage: "[options] <role name> <permission type> <key> [endkey]",
      short: "Grants a key to a role",
      flags: [
        flag("prefix", "grant a prefix permission"),
        flag(
          "from-key",
          "grant a permission of keys that are greater than or equal to the given key using byte compare",
        ),
      ],
      run: async (context) => {
        const [name, type, key, end] = context.args;
        if (name === undefined || type === undefined || key === undefined) {
          throw badArguments(
            "role grant command requires role name, permission type, and key [endkey] as its argument",
          );
        }
        const permission = type.toUpperCase();
        if (permission !== "READ" && permission !== "WRITE" && permission !== "READWRITE") {
          throw badArguments(`invalid permission type: ${type}`);
        }
        const range = rangeOf(context.flags, end);
        const granted = { type: permission, key: argumentBytes(key), ...range } as const;
        const answer = await context.client().auth.roleGrantPermission(name, granted, context.timed);
        done(context, auth.roleGrantPermission.response, answer, `Role ${name} updated\n`);
      },
    },
    {
      name: "list",
      short: "Lists all roles",
      run: async ({ args, client, printer, timed }) => {
        if (args.length > 0) throw badArguments("role list command requires no arguments");
        const answer = await client().auth.roleList(timed);
        printer.message(auth.roleList.response, answer, {
          simple: () => answer.roles.map((role) => `${role}\n`).join(""),
          fields: () =>
            `${printer.header(answer.header)}"Roles" :${answer.roles.map((role) => ` ${quote(role)}`).join("")}\n`,
        });
      },
    },
    {
      name: "revoke-permission",
      usage: "<role name> <key> [endkey]",
      short: "Revokes a key from a role",
      flags: [
        flag("prefix", "revoke a prefix permission"),
        flag(
          "from-key",
          "revoke a permission of keys that are greater than or equal to the given key using byte compare",
        ),
      ],
      run: async (context) => {
        const [name, key, end] = context.args;
        if (name === undefined || key === undefined) {
          throw badArguments("role revoke-permission command requires role name and key [endkey] as its argument");
        }
        const range = rangeOf(context.flags, end);
        const answer = await context
          .client()
          .auth.roleRevokePermission(name, argumentBytes(key), { ...range, ...context.timed });
        done(context, auth.roleRevokePermission.response, answer, revoked(name, key, range));
      },
    },
  ],
};

export function only(args: readonly string[], message: string): string {
  const [first] = args;
  if (first === undefined || args.length > 1) throw badArguments(message);
  return first;
}

/** An answer that says no more than that it is done. */
export function done<M extends { readonly header: ResponseHeader | undefined }>(
  { printer }: Pick<Context, "printer">,
  codec: PrintCodec<M>,
  answer: M,
  text: string,
): void {
  printer.message(codec, answer, {
    simple: () => text,
    fields: () => printer.header(answer.header ?? createResponseHeader()),
  });
}

function rangeOf(flags: FlagValues, end: string | undefined): RangeOptions {
  const [prefix, fromKey] = [flags.bool("prefix"), flags.bool("from-key")];
  checkRangeFlags(prefix, fromKey, end);
  return { prefix, fromKey, rangeEnd: end === undefined ? undefined : argumentBytes(end) };
}

function revoked(role: string, key: string, { prefix, fromKey, rangeEnd }: RangeOptions): string {
  const end = prefix === true ? prefixRangeEnd(argumentBytes(key)) : fromKey === true ? openEnd : rangeEnd;
  if (end === undefined) return `Permission of key ${key} is revoked from role ${role}\n`;
  const text = typeof end === "string" ? end : equalBytes(end, openEnd) ? "<open ended>" : `${Buffer.from(end)})`;
  return `Permission of range [${key}, ${text} is revoked from role ${role}\n`;
}

export function printRole(name: string, answer: Answer<AuthRoleGetResponse>, printer: Printer): void {
  const { header, perm } = answer;
  const lines = (types: readonly number[]): string =>
    perm
      .filter(({ permType }) => types.includes(permType))
      .map((permission) => `\t${rangeText(permission)}\n`)
      .join("");
  printer.message(auth.roleGet.response, answer, {
    simple: () => {
      const read = lines([Permission_Type.READ, Permission_Type.READWRITE]);
      const write = lines([Permission_Type.WRITE, Permission_Type.READWRITE]);
      return `Role ${name}\nKV Read:\n${read}KV Write:\n${write}`;
    },
    fields: () =>
      printer.header(header) +
      perm
        .map(({ permType, key, rangeEnd }) => {
          const type = permissionNames[permType] ?? String(permType);
          return `"PermType" :  ${type}\n"Key" : ${quote(key)}\n"RangeEnd" : ${quote(rangeEnd)}\n`;
        })
        .join(""),
  });
}

function rangeText({ key, rangeEnd }: Permission): string {
  const start = Buffer.from(key).toString();
  if (rangeEnd.length === 0) return start;
  if (equalBytes(rangeEnd, openEnd)) return `[${start}, <open ended>`;
  const end = Buffer.from(rangeEnd).toString();
  return `[${start}, ${end})${equalBytes(prefixRangeEnd(key), rangeEnd) ? ` (prefix ${start})` : ""}`;
}
