import { auth } from "@etcd-ts/api";
import { isEtcdError } from "@etcd-ts/client";
import type { Command } from "../command.js";
import { badArguments } from "../exit.js";

export const authCommand: Command = {
  name: "auth",
  short: "Enable or disable authentication",
  group: "Authentication commands",
  commands: [
    {
      name: "disable",
      short: "Disables authentication",
      run: async ({ args, client, printer, timed }) => {
        if (args.length > 0) throw badArguments("auth disable command does not accept any arguments");
        const answer = await client().auth.disable(timed);
        printer.message(auth.authDisable.response, answer, {
          simple: () => "Authentication Disabled\n",
          fields: () => printer.header(answer.header),
        });
      },
    },
    {
      name: "enable",
      short: "Enables authentication",
      run: async ({ args, client, printer, timed }) => {
        if (args.length > 0) throw badArguments("auth enable command does not accept any arguments");
        const service = client().auth;
        for (;;) {
          try {
            const answer = await service.enable(timed);
            printer.message(auth.authEnable.response, answer, {
              simple: () => "Authentication Enabled\n",
              fields: () => printer.header(answer.header),
            });
            return;
          } catch (error) {
            if (!isEtcdError(error) || error.reason !== "rootRoleNotExist") throw error;
            // The root user lacks its role: it gets it, and the cluster is asked again.
            await service.roleAdd("root", timed).catch((cause: unknown) => {
              if (!isEtcdError(cause) || cause.reason !== "roleAlreadyExist") throw cause;
            });
            await service.userGrantRole("root", "root", timed);
          }
        }
      },
    },
    {
      name: "status",
      short: "Returns authentication status",
      run: async ({ args, client, printer, timed }) => {
        if (args.length > 0) throw badArguments("auth status command does not accept any arguments");
        const answer = await client().auth.status(timed);
        printer.message(auth.authStatus.response, answer, {
          simple: () => `Authentication Status: ${answer.enabled}\nAuthRevision: ${answer.authRevision}\n`,
        });
      },
    },
  ],
};
