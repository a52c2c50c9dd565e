import { auth } from "@etcd-ts/api";
import { type Command, type Context, flag, stringFlag } from "../command.js";
import { badArguments, CtlError, ExitCode } from "../exit.js";
import { done, only, printRole } from "./role.js";

const interactiveFlag = flag("interactive", "Read password from stdin instead of interactive terminal", {
  default: "true",
});

export const userCommand: Command = {
  name: "user",
  short: "User related commands",
  group: "Authentication commands",
  commands: [
    {
      name: "add",
      usage: "<user name or user:password> [options]",
      short: "Adds a new user",
      flags: [
        interactiveFlag,
        stringFlag("new-user-password", "Supply password from the command line flag"),
        flag("no-password", "Create a user without password (CN based auth only)"),
      ],
      run: async (context) => {
        const argument = only(context.args, "user add command requires user name as its argument");
        const { name, password } = await newUser(argument, context);
        const answer = await context.client().auth.userAdd(name, password, context.timed);
        done(context, auth.userAdd.response, answer, `User ${name} created\n`);
      },
    },
    {
      name: "delete",
      usage: "<user name>",
      short: "Deletes a user",
      run: async (context) => {
        const name = only(context.args, "user delete command requires user name as its argument");
        const answer = await context.client().auth.userDelete(name, context.timed);
        done(context, auth.userDelete.response, answer, `User ${name} deleted\n`);
      },
    },
    {
      name: "get",
      usage: "<user name> [options]",
      short: "Gets detailed information of a user",
      flags: [flag("detail", "Show permissions of roles granted to the user")],
      run: async ({ args, flags, client, printer, io, timed }) => {
        const name = only(args, "user get command requires user name as its argument");
        const answer = await client().auth.userGet(name, timed);
        if (flags.bool("detail")) {
          io.out(`User: ${name}\n`);
          for (const role of answer.roles) {
            io.out("\n");
            printRole(role, await client().auth.roleGet(role, timed), printer);
          }
          return;
        }
        printer.message(auth.userGet.response, answer, {
          simple: () => `User: ${name}\nRoles:${answer.roles.map((role) => ` ${role}`).join("")}\n`,
        });
      },
    },
    {
      name: "grant-role",
      usage: "<user name> <role name>",
      short: "Grants a role to a user",
      run: async (context) => {
        const [name, role] = context.args;
        if (name === undefined || role === undefined || context.args.length > 2) {
          throw badArguments("user grant command requires user name and role name as its argument");
        }
        const answer = await context.client().auth.userGrantRole(name, role, context.timed);
        done(context, auth.userGrantRole.response, answer, `Role ${role} is granted to user ${name}\n`);
      },
    },
    {
      name: "list",
      short: "Lists all users",
      run: async ({ args, client, printer, timed }) => {
        if (args.length > 0) throw badArguments("user list command requires no arguments");
        const answer = await client().auth.userList(timed);
        printer.message(auth.userList.response, answer, {
          simple: () => answer.users.map((user) => `${user}\n`).join(""),
        });
      },
    },
    {
      name: "passwd",
      usage: "<user name> [options]",
      short: "Changes password of user",
      flags: [interactiveFlag],
      run: async (context) => {
        const name = only(context.args, "user passwd command requires user name as its argument");
        const password = await readNewPassword(name, context);
        const answer = await context.client().auth.userChangePassword(name, password, context.timed);
        done(context, auth.userChangePassword.response, answer, "Password updated\n");
      },
    },
    {
      name: "revoke-role",
      usage: "<user name> <role name>",
      short: "Revokes a role from a user",
      run: async (context) => {
        const [name, role] = context.args;
        if (name === undefined || role === undefined || context.args.length > 2) {
          throw badArguments("user revoke-role requires user name and role name as its argument");
        }
        const answer = await context.client().auth.userRevokeRole(name, role, context.timed);
        done(context, auth.userRevokeRole.response, answer, `Role ${role} is revoked from user ${name}\n`);
      },
    },
  ],
};

interface NewUser {
  readonly name: string;
  /** undefined: a user known by its certificate only. */
  readonly password: string | undefined;
}

async function newUser(argument: string, context: Context): Promise<NewUser> {
  const { flags } = context;
  if (flags.bool("no-password")) return { name: argument, password: undefined };
  if (flags.has("new-user-password")) return { name: argument, password: flags.string("new-user-password") };
  const colon = argument.indexOf(":");
  if (colon < 0) return { name: argument, password: await readNewPassword(argument, context) };
  const name = argument.slice(0, colon);
  if (name === "") throw badArguments("empty user name is not allowed");
  return { name, password: argument.slice(colon + 1) };
}

async function readNewPassword(name: string, { flags, io }: Context): Promise<string> {
  if (!flags.bool("interactive")) {
    const [line = ""] = Buffer.from(await io.readInput())
      .toString()
      .split("\n");
    return line.replace(/\r$/, "");
  }
  const password = await io.readPassword(`Password of ${name}: `);
  const again = await io.readPassword(`Type password of ${name} again for confirmation: `);
  if (password !== again) throw new CtlError(ExitCode.badArguments, "given passwords are different");
  return password;
}
