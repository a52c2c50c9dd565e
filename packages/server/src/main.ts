/** The program `etcd`: reads flags, variables and file, starts a member, and stops it on a signal. */

import { readFileSync } from "node:fs";
import { versionText } from "./config/help.js";
import { configFilePath, loadConfig } from "./config/load-config.js";
import type { MemberConfig } from "./config/member-config.js";
import type { Env } from "./env.js";
import { defaultHost } from "./platform/host.js";
import { serverVersion } from "./version.js";

const start = { argv: process.argv.slice(2), environment: process.env };
// The member is loaded once there is one to run, and the file's parser, a sixth of all, only for a file.
const parser = configFilePath(start) === "" ? undefined : await import("./config/config-file.js");

const loaded = loadConfig({
  ...start,
  host: { defaultHost: defaultHost() },
  readFile: (path, notes) => {
    if (parser === undefined) throw new Error(`${path} is not the file that was named`);
    return parser.readConfigFile(readFileSync(path, "utf8"), notes);
  },
  version: versionText({
    version: serverVersion,
    gitSha: undefined,
    nodeVersion: process.version,
    platform: process.platform,
    architecture: process.arch,
  }),
});

switch (loaded.kind) {
  case "print":
    process.stdout.write(loaded.text);
    break;
  case "usage":
    process.stderr.write(`${loaded.text}\n`);
    process.exitCode = 2;
    break;
  case "refused": {
    const { createNodeEnv } = await import("./platform/env.js");
    const { logger } = createNodeEnv();
    for (const note of loaded.notes) logger.log(note.level, note.message, note.fields);
    logger.log("error", "failed to verify flags", { error: loaded.error });
    process.exitCode = 1;
    break;
  }
  case "run": {
    const { createNodeEnv } = await import("./platform/env.js");
    const env = createNodeEnv({ logLevel: loaded.config.log.level });
    for (const note of loaded.notes) env.logger.log(note.level, note.message, note.fields);
    await run(loaded.config, env);
    break;
  }
}

async function run(config: MemberConfig, env: Omit<Env, "network">): Promise<void> {
  let stopping = false;
  try {
    const { startMember } = await import("./embed.js");
    const etcd = await startMember(config, { env });
    const stop = (signal: "SIGTERM" | "SIGINT"): void => {
      if (stopping) return;
      stopping = true;
      env.logger.log("info", "received signal; shutting down", { signal });
      etcd.close().then(
        () => endLike(signal),
        (error: unknown) => {
          env.logger.log("error", "failed to stop cleanly", { error: String(error) });
          env.process.exit(1);
        },
      );
    };
    env.process.onSignal("SIGTERM", () => stop("SIGTERM"));
    env.process.onSignal("SIGINT", () => stop("SIGINT"));
    if (process.stdout.isTTY === true) process.stdout.write(welcome(config));
  } catch (error) {
    env.logger.log("fatal", "failed to start etcd", { error: error instanceof Error ? error.message : String(error) });
    env.process.exit(1);
  }
}

/** As etcd: a signal's default action ends the process, but PID 1 has none and exits with 0. */
function endLike(signal: "SIGTERM" | "SIGINT"): void {
  if (process.pid === 1) process.exit(0);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function welcome(config: MemberConfig): string {
  const urls = config.listenClientUrls.map((url) => url.text).join(", ");
  const endpoint = config.advertiseClientUrls[0]?.text ?? "http://localhost:2379";
  return `
etcd ${serverVersion} is ready: clients at ${urls}, data in ${config.memory ? "memory only" : config.dataDir}

  try   bin/etcdctl --endpoints=${endpoint} put greeting hello
        bin/etcdctl --endpoints=${endpoint} get greeting
        curl ${endpoint}/version
  stop  Ctrl-C

`;
}
