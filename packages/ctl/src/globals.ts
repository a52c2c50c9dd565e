/** The flags of all commands, their environment variables, and the client they describe. */

import { readFileSync } from "node:fs";
import { type Credentials, EtcdClient, type EtcdClientOptions } from "@etcd-ts/client";
import { flag, type Io, intFlag, stringFlag } from "./command.js";
import { badArguments, CtlError, ExitCode, messageOf } from "./exit.js";
import { FlagError, type FlagSpec, type FlagValues } from "./flags.js";

export const globalFlags: readonly FlagSpec[] = [
  { name: "endpoints", type: "strings", default: "127.0.0.1:2379", help: "gRPC endpoints" },
  flag("debug", "enable client-side debug logging"),
  {
    ...stringFlag("write-out", "set the output format (fields, json, protobuf, simple, table)", "simple"),
    short: "w",
  },
  flag("hex", "print byte strings as hex encoded strings"),
  { name: "dial-timeout", type: "duration", default: "2s", help: "dial timeout for client connections" },
  {
    name: "command-timeout",
    type: "duration",
    default: "5s",
    help: "timeout for short running command (excluding dial timeout)",
  },
  { name: "keepalive-time", type: "duration", default: "2s", help: "keepalive time for client connections" },
  { name: "keepalive-timeout", type: "duration", default: "6s", help: "keepalive timeout for client connections" },
  intFlag(
    "max-request-bytes",
    "client-side request send limit in bytes (if 0, it defaults to 2.0 MiB (2 * 1024 * 1024).)",
  ),
  intFlag("max-recv-bytes", 'client-side response receive limit in bytes (if 0, it defaults to "math.MaxInt32")'),
  flag("insecure-transport", "disable transport security for client connections", { default: "true" }),
  flag("insecure-discovery", "accept insecure SRV records describing cluster endpoints", { default: "true" }),
  flag(
    "insecure-skip-tls-verify",
    "skip server certificate verification (CAUTION: this option should be enabled only for testing purposes)",
  ),
  stringFlag("cert", "identify secure client using this TLS certificate file"),
  stringFlag("key", "identify secure client using this TLS key file"),
  stringFlag("cacert", "verify certificates of TLS-enabled secure servers using this CA bundle"),
  stringFlag(
    "auth-jwt-token",
    "JWT token used for authentication (if this option is used, --user and --password should not be set)",
  ),
  stringFlag("user", "username[:password] for authentication (prompt if password is not supplied)"),
  stringFlag(
    "password",
    "password for authentication (if this option is used, --user option shouldn't include password)",
  ),
  { ...stringFlag("discovery-srv", "domain name to query for SRV records describing cluster endpoints"), short: "d" },
  stringFlag("discovery-srv-name", "service name to query when using DNS discovery"),
];

/** Known, but no flags. */
const otherVariables = new Set(["ETCDCTL_API", "ETCDCTL_WATCH_KEY", "ETCDCTL_WATCH_RANGE_END"]);

function variableOf({ name }: FlagSpec): string {
  return `ETCDCTL_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** Takes flags that were not given from the environment. Source: etcd pkg/flags/flag.go SetPflagsFromEnv. */
export function applyEnvironment(flags: FlagValues, io: Io): void {
  const known = new Set(otherVariables);
  for (const spec of globalFlags) {
    const variable = variableOf(spec);
    known.add(variable);
    const value = io.environment[variable];
    if (value === undefined) continue;
    if (flags.has(spec.name)) {
      const advice = "either unset environment variable or disable flag";
      const message = `conflicting environment variable ${variable} is shadowed by corresponding command-line flag (${advice})`;
      throw new CtlError(ExitCode.error, message);
    }
    if (value === "") continue;
    try {
      flags.set(spec.name, value);
    } catch (error) {
      if (!(error instanceof FlagError)) throw error;
      throw new CtlError(ExitCode.error, `invalid value ${JSON.stringify(value)} for ${variable}: ${error.message}`);
    }
  }
  for (const name of Object.keys(io.environment)) {
    if (name.startsWith("ETCDCTL_") && !known.has(name)) {
      io.error(`unrecognized environment variable ${name}=${io.environment[name]}\n`);
    }
  }
}

/** Credentials of the flags; asks for a password that is missing. */
export async function readCredentials(flags: FlagValues, io: Io): Promise<Credentials | undefined> {
  const token = flags.string("auth-jwt-token");
  if (token !== "") return { token };
  const user = flags.string("user");
  if (user === "") return undefined;
  if (flags.has("password")) return { username: user, password: flags.string("password") };
  const colon = user.indexOf(":");
  if (colon >= 0) return { username: user.slice(0, colon), password: user.slice(colon + 1) };
  return { username: user, password: await io.readPassword("Password: ") };
}

export function makeClient(
  flags: FlagValues,
  endpoints: readonly string[],
  credentials: Credentials | undefined,
): EtcdClient {
  const options: EtcdClientOptions = {
    endpoints,
    credentials,
    tls: tlsOptions(flags),
    timeoutMs: 0,
    dialTimeoutMs: flags.durationMs("dial-timeout"),
    // Go's gRPC does not ping more often than this either.
    keepaliveTimeMs: Math.max(10_000, flags.durationMs("keepalive-time")),
    keepaliveTimeoutMs: flags.durationMs("keepalive-timeout"),
    sendMessageBytesMax: flags.number("max-request-bytes") || undefined,
    receiveMessageBytesMax: flags.number("max-recv-bytes") || undefined,
  };
  try {
    return new EtcdClient(options);
  } catch (error) {
    throw badArguments(messageOf(error));
  }
}

function tlsOptions(flags: FlagValues): EtcdClientOptions["tls"] {
  const [cert, key, ca] = [flags.string("cert"), flags.string("key"), flags.string("cacert")];
  const skip = flags.bool("insecure-skip-tls-verify");
  const secure = !flags.bool("insecure-transport") || cert !== "" || key !== "" || ca !== "" || skip;
  if (!secure) return undefined;
  if (cert === "" && key !== "") throw badArguments("empty string is passed to --cert option");
  if (cert !== "" && key === "") throw badArguments("empty string is passed to --key option");
  const read = (path: string): string | undefined => (path === "" ? undefined : readPem(path));
  return { cert: read(cert), key: read(key), ca: read(ca), insecureSkipVerify: skip };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw badArguments(messageOf(error));
  }
}
