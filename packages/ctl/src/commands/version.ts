import type { Command } from "../command.js";

/** The release of etcd whose etcdctl this is. */
const etcdVersion = "3.7.3";

export const versionCommand: Command = {
  name: "version",
  short: "Prints the version of etcdctl",
  group: "Utility commands",
  run: async ({ io }) => {
    io.out(`etcdctl version: ${etcdVersion}\nAPI version: ${etcdVersion.replace(/\.\d+$/, "")}\n`);
  },
};
