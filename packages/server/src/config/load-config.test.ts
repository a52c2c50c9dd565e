import { limits } from "@etcd-ts/api";
import { describe, expect, test } from "vitest";
import { readConfigFile } from "./config-file.js";
import { type FlagName, flagNames, flagTable } from "./flags.js";
import { configFilePath, configFromFlags, type LoadResult, loadConfig } from "./load-config.js";
import type { MemberConfig } from "./member-config.js";

interface Input {
  readonly environment?: Record<string, string>;
  readonly file?: string;
  readonly defaultHost?: string;
}

function load(argv: readonly string[], { environment = {}, file, defaultHost }: Input = {}): LoadResult {
  return loadConfig({
    argv,
    environment,
    host: { defaultHost },
    readFile: (path, notes) => {
      if (file === undefined) throw new Error(`open ${path}: no such file or directory`);
      return readConfigFile(file, notes);
    },
    version: "etcd Version: 3.7.3\n",
  });
}

function config(argv: readonly string[], input?: Input): MemberConfig {
  const result = load(argv, input);
  if (result.kind !== "run") throw new Error(JSON.stringify(result));
  return result.config;
}

function error(argv: readonly string[], input?: Input): string {
  const result = load(argv, input);
  if (result.kind === "usage") return `2: ${result.text.split("\n", 1)[0]}`;
  if (result.kind === "refused") return `1: ${result.error}`;
  return result.kind;
}

describe("defaults", () => {
  test("are etcd's", () => {
    const { listenPeerUrls, advertiseClientUrls, ...rest } = config([]);
    expect(listenPeerUrls).toEqual([
      { text: "http://localhost:2380", scheme: "http", host: "localhost", port: "2380" },
    ]);
    expect(advertiseClientUrls.map((url) => url.text)).toEqual(["http://localhost:2379"]);
    expect(rest).toMatchObject({
      name: "default",
      dataDir: "default.etcd",
      walDir: undefined,
      snapshotCount: 10000,
      heartbeatMs: 100,
      electionMs: 1000,
      quotaBackendBytes: 2 * 1024 ** 3,
      backendBatchIntervalMs: 100,
      maxRequestBytes: 1572864,
      grpcKeepaliveIntervalMs: 7_200_000,
      initialCluster: "default=http://localhost:2380",
      autoCompaction: { kind: "off" },
      compactHashCheckMs: 60_000,
      watchProgressNotifyIntervalMs: 600_000,
      log: { level: "info", format: "json" },
      cors: ["*"],
      hostWhitelist: ["*"],
    });
  });

  test("are the limits of the API", () => {
    expect(config([])).toMatchObject({
      maxRequestBytes: limits.maxRequestBytes,
      maxTxnOps: limits.maxTxnOps,
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxLearners: limits.maxLearners,
      heartbeatMs: limits.heartbeatIntervalMs,
      electionMs: limits.electionTimeoutMs,
      snapshotCount: limits.snapshotCount,
      snapshotCatchupEntries: limits.snapshotCatchUpEntries,
      maxWals: limits.maxWals,
      authTokenTtlSeconds: limits.authTokenTtlSeconds,
      bcryptCost: limits.bcryptCost,
    });
  });

  test("every flag's default can be read", () => {
    const fixed: readonly FlagName[] = ["log-rotation-config-json", "config-file", "data-dir"];
    for (const flag of flagNames) {
      if (flagTable[flag].kind === "ignored" || fixed.includes(flag) || flag === "version") continue;
      const result = load([`--${flag}=${flagTable[flag].default}`]);
      const allowed = flag === "listen-client-urls" ? "refused" : "run";
      expect([flag, result.kind]).toEqual([flag, allowed]);
    }
  });

  test("the name goes into data directory and cluster", () => {
    expect(config(["--name=a"])).toMatchObject({ dataDir: "a.etcd", initialCluster: "a=http://localhost:2380" });
    const peers = "--initial-advertise-peer-urls=http://b:1,http://a:1";
    expect(config(["--name", "a", peers]).initialCluster).toBe("a=http://a:1,a=http://b:1");
    expect(config(["--name=a", "--initial-cluster=a=http://x:1"]).initialCluster).toBe("a=http://x:1");
  });

  test("listening on all addresses advertises the machine's", () => {
    const argv = ["--name=a", "--listen-peer-urls=http://0.0.0.0:12380"];
    const member = config(argv, { defaultHost: "10.0.0.5" });
    expect(member.initialAdvertisePeerUrls.map((url) => url.text)).toEqual(["http://10.0.0.5:12380"]);
    expect(member.initialCluster).toBe("a=http://10.0.0.5:12380");
    expect(config(argv).initialCluster).toBe("a=http://localhost:2380");
  });

  test("an election timeout is 5 heartbeats or more", () => {
    expect(config(["--election-timeout=500"]).electionMs).toBe(500);
    expect(error(["--election-timeout=499"])).toMatch(/^1: --election-timeout\[499ms\] should be at least/);
  });

  test("raft timeouts are not below 5 s", () => {
    expect(config(["--raft-read-timeout=1s", "--raft-write-timeout=7s"])).toMatchObject({
      raftReadTimeoutMs: 5000,
      raftWriteTimeoutMs: 7000,
    });
  });
});

describe("command line", () => {
  test("forms of flags", () => {
    const argv = ["-name", "x", "--max-wals=0x10", "-pre-vote=F", "--max-wals", "3", "--v", "--snapshot=1"];
    expect(config(argv)).toMatchObject({ name: "x", maxWals: 3, preVote: false });
  });

  // Compared with etcd 3.7.3, which says the same and exits with the same code.
  test.each([
    ["--nope", "2: flag provided but not defined: -nope"],
    ["--nope=1", "2: flag provided but not defined: -nope"],
    ["--max-wals=abc", '2: invalid value "abc" for flag -max-wals: parse error'],
    ["--max-wals=-1", '2: invalid value "-1" for flag -max-wals: parse error'],
    [
      "--max-wals=99999999999999999999",
      '2: invalid value "99999999999999999999" for flag -max-wals: value out of range',
    ],
    ["--heartbeat-interval 0x", '2: invalid value "0x" for flag -heartbeat-interval: parse error'],
    ["--pre-vote=maybe", '2: invalid boolean value "maybe" for -pre-vote: parse error'],
    ["--pre-vote maybe", '1: "maybe" is not a valid flag'],
    ["extra", '1: "extra" is not a valid flag'],
    ["--name", "2: flag needs an argument: -name"],
    ["---x", "2: bad flag syntax: ---x"],
    ["--=x", "2: bad flag syntax: --=x"],
    ["-- --max-wals=1", '1: "--max-wals=1" is not a valid flag'],
    ["- --max-wals=1", '1: "-" is not a valid flag'],
    ["--cluster-active-size 3", '1: "3" is not a valid flag'],
    ["--grpc-keepalive-min-time=5", '2: invalid value "5" for flag -grpc-keepalive-min-time: parse error'],
    [
      "--listen-client-urls=foo",
      '2: invalid value "foo" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: foo',
    ],
    [
      "--listen-client-urls=http://foo",
      '2: invalid value "http://foo" for flag -listen-client-urls: URL address does not have the form "host:port": http://foo',
    ],
    [
      "--listen-client-urls=http://127.0.0.1:1/path",
      '2: invalid value "http://127.0.0.1:1/path" for flag -listen-client-urls: URL must not contain a path: http://127.0.0.1:1/path',
    ],
    [
      "--listen-client-urls=http://127.0.0.1:abc",
      '2: invalid value "http://127.0.0.1:abc" for flag -listen-client-urls: parse "http://127.0.0.1:abc": invalid port ":abc" after host',
    ],
    [
      "--listen-client-urls=http://127.0.0.1:1,",
      '2: invalid value "http://127.0.0.1:1," for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: ',
    ],
    ["--cors=foo", '2: invalid value "foo" for flag -cors: URL scheme must be http, https, unix, or unixs: foo'],
    ["--initial-cluster-state=foo", '2: invalid value "foo" for flag -initial-cluster-state: invalid value'],
    ["--initial-cluster-state=", '2: invalid value "" for flag -initial-cluster-state: invalid value'],
    ["--discovery-fallback=foo", '2: invalid value "foo" for flag -discovery-fallback: invalid value'],
    ["--feature-gates=Foo=true", '2: invalid value "Foo=true" for flag -feature-gates: unrecognized feature gate: Foo'],
    [
      "--feature-gates=LeaseCheckpoint",
      '2: invalid value "LeaseCheckpoint" for flag -feature-gates: missing bool value for LeaseCheckpoint',
    ],
    [
      "--feature-gates=LeaseCheckpoint=maybe",
      '2: invalid value "LeaseCheckpoint=maybe" for flag -feature-gates: invalid value of LeaseCheckpoint=maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    ["--heartbeat-interval=0", "1: --heartbeat-interval must be >0 (set to 0ms)"],
    ["--election-timeout=0", "1: --election-timeout must be >0 (set to 0ms)"],
    [
      "--election-timeout=100",
      "1: --election-timeout[100ms] should be at least as 5 times as --heartbeat-interval[100ms]",
    ],
    ["--election-timeout=60000", "1: --election-timeout[60000ms] is too long, and should be set less than 50000ms"],
    [
      "--listen-client-urls=http://127.0.0.1:2379",
      "1: --advertise-client-urls is required when --listen-client-urls is set explicitly",
    ],
    ["--listen-peer-urls=http://foo:1", "1: expected IP in URL for binding (http://foo:1)"],
    ["--listen-metrics-urls=http://foo:1", "1: expected IP in URL for binding (http://foo:1)"],
    [
      "--initial-advertise-peer-urls=http://:2380",
      '1: --initial-advertise-peer-urls "http://:2380" must be "host:port" (unexpected empty host (http://:2380))',
    ],
    [
      "--advertise-client-urls=http://:2380",
      '1: --advertise-client-urls "http://:2380" must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (unexpected empty host (http://:2380))',
    ],
    ["--auto-compaction-mode=foo", '1: unknown auto-compaction-mode "foo"'],
    ["--auto-compaction-retention=foo", '1: error parsing CompactionRetention: time: invalid duration "foo"'],
    ["--auto-compaction-retention=-1", '1: error parsing CompactionRetention: time: missing unit in duration "-1"'],
    ["--compact-hash-check-time=0s", "1: --compact-hash-check-time must be >0 (set to 0s)"],
    [
      "--feature-gates=LeaseCheckpointPersist=true",
      "1: enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
    ],
    [
      "--tls-min-version=TLS1.3 --cipher-suites=TLS_AES_128_GCM_SHA256",
      "1: cipher suites cannot be configured when only TLS1.3 is enabled",
    ],
    ["--cipher-suites=TLS_AES_128_GCM_SHA256,foo", '1: unexpected TLS cipher suite "foo"'],
    [
      "--peer-cert-file=a --peer-key-file=b --peer-cert-allowed-cn=c,d --peer-cert-allowed-hostname=e",
      '1: AllowedCNs and AllowedHostnames are mutually exclusive (cns=["c" "d"], hostnames=["e"])',
    ],
    [
      "--cert-file=a --key-file=b --client-cert-file=c",
      "1: ClientKeyFile and ClientCertFile must both be present or both absent: key: , cert: c]",
    ],
    ["--discovery-token=t", "1: both --discovery-token and --discovery-endpoints must be set"],
    ["--discovery-token=t --discovery-endpoints=a:1,,", "1: --discovery-endpoints must not contain empty endpoints"],
    [
      "--discovery-srv=example.org --initial-cluster=a=http://a:1",
      '1: multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
    ],
    ["--tls-min-version=TLS1.1", '1: unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)'],
    [
      "--tls-min-version=TLS1.3 --tls-max-version=TLS1.2",
      "1: min version (TLS1.3) is greater than max version (TLS1.2)",
    ],
    [
      "--discovery-fallback=proxy",
      `1: v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`,
    ],
    ["--logger=foo", '1: unknown logger option "foo"'],
    ["--log-format=foo", "1: unknown log format: foo, supported values json, console"],
    ["--log-outputs=default,stderr", '1: multi logoutput for "default" is not supported yet'],
    [
      "--listen-peer-urls=https://127.0.0.1:1",
      "1: TLS key/cert (--peer-cert-file, --peer-key-file) must be provided for peer url https://127.0.0.1:1 with HTTPS scheme",
    ],
    [
      "--listen-client-urls=http://127.0.0.1:1 --listen-client-http-urls=http://127.0.0.1:1 --advertise-client-urls=http://a:1",
      "1: cannot bind both --listen-client-urls and --listen-client-http-urls on the same url http://127.0.0.1:1",
    ],
    ["--config-file=/none", "1: open /none: no such file or directory"],
    ["--help", "print"],
    ["-h --max-wals=abc", "print"],
    ["--max-wals=abc -h", '2: invalid value "abc" for flag -max-wals: parse error'],
    ["--heartbeat-interval=0 --version", "print"],
  ])("%s", (line, expected) => {
    expect(error(line.split(" "))).toBe(expected);
  });

  test.each(["unix:///tmp/x", "unix://localhost:1", "http://[::1]:1", "http://u:p@127.0.0.1:1?x=1"])(
    "listens on %s",
    (url) => {
      const member = config([`--listen-client-urls=${url}`, "--advertise-client-urls=unix://a"]);
      expect(member.listenClientUrls.map(({ text }) => text)).toEqual([url]);
    },
  );

  test("an empty URL list keeps the default", () => {
    const argv = ["--listen-client-urls=", "--advertise-client-urls=http://a:1"];
    expect(config(argv).listenClientUrls.map(({ text }) => text)).toEqual(["http://localhost:2379"]);
  });

  test("what etcd has and this member not is refused, unless it is harmless", () => {
    expect(error(["--enable-distributed-tracing"])).toBe("1: --enable-distributed-tracing is not supported yet");
    expect(error(["--log-outputs=stdout"])).toBe("1: --log-outputs=stdout is not supported yet");
    expect(error(["--log-outputs=stderr"])).toBe("run");
    expect(error(["gateway", "start"])).toBe("1: etcd gateway is not supported yet");
    const result = load(["--enable-pprof", "--cluster-active-size=3"]);
    expect(result).toMatchObject({ kind: "run" });
    expect(result.kind === "run" && result.notes.map((note) => [note.message, note.fields])).toEqual(
      expect.arrayContaining([
        ["this flag has no effect", { flag: "enable-pprof" }],
        ["this flag has no effect", { flag: "cluster-active-size" }],
      ]),
    );
  });

  test("gates of a stage do not touch those named", () => {
    const { featureGates } = config(["--feature-gates=FastLeaseKeepAlive=true,AllBeta=false,AllAlpha=true"]);
    expect(featureGates).toMatchObject({
      FastLeaseKeepAlive: true,
      TxnModeWriteWithSharedBuffer: false,
      PriorityRequest: true,
    });
  });
});

describe("environment", () => {
  test("sets what the command line does not", () => {
    const environment = { ETCD_NAME: "e", ETCD_MAX_WALS: "7", ETCD_PRE_VOTE: "", PATH: "/bin" };
    expect(config([], { environment })).toMatchObject({ name: "e", maxWals: 7, preVote: true });
  });

  test("conflicts and bad values are refused", () => {
    expect(error(["--name=a"], { environment: { ETCD_NAME: "b" } })).toMatch(
      /^1: conflicting environment variable ETCD_NAME is shadowed by corresponding command-line flag/,
    );
    expect(error([], { environment: { ETCD_MAX_WALS: "x" } })).toBe(
      '1: invalid value "x" for ETCD_MAX_WALS: parse error',
    );
    expect(error([], { environment: { ETCD_LISTEN_CLIENT_URLS: "http://127.0.0.1:2379" } })).toBe(
      "1: --advertise-client-urls is required when --listen-client-urls is set explicitly",
    );
  });

  test.each(["--force-new-cluster", "--auto-tls", "--peer-auto-tls"])("%s needs a disk", (flag) => {
    expect(error(["--memory", flag])).toMatch(/^1: .*--memory/);
    expect(load([flag]).kind).toBe("run");
  });

  test("notes", () => {
    const environment = { ETCD_FOO: "1", ETCD_VERSION: "3", ETCD_NAME: "n", ETCD_UNSUPPORTED_ARCH: "arm" };
    const result = load([], { environment });
    const notes = result.kind === "run" ? result.notes.map(({ level, message }) => `${level} ${message}`) : [];
    expect(notes).toEqual([
      "warn cannot set special environment variable",
      "info recognized and used environment variable",
      "warn unrecognized environment variable",
    ]);
  });
});

describe("configuration file", () => {
  test("replaces flags and variables", () => {
    const file = "name: f\nheartbeat-interval: 50\ngrpc-keepalive-min-time: 1000000000\n";
    const environment = { ETCD_MAX_WALS: "9" };
    expect(config(["--config-file=c.yml", "--name=x", "--raft-read-timeout=9s"], { file, environment })).toMatchObject({
      name: "f",
      heartbeatMs: 50,
      grpcKeepaliveMinTimeMs: 1000,
      maxWals: 5,
      raftReadTimeoutMs: 9000,
    });
    expect(config([], { environment: { ETCD_CONFIG_FILE: "c.yml" }, file }).name).toBe("f");
  });

  test("sequences, blocks, YAML 1.1 switches, JSON, other case, null, repeated keys", () => {
    const file = `
log-outputs: [stderr]
host-whitelist: b,a
peer-transport-security:
  client-cert-auth: no
PRE-VOTE: no
wal-dir:
name: a
name: b
`;
    expect(config(["--config-file=c"], { file })).toMatchObject({
      hostWhitelist: ["a", "b"],
      preVote: false,
      walDir: undefined,
      name: "b",
    });
    expect(config(["--config-file=c"], { file: '{"max-wals": 0}' }).maxWals).toBe(0);
    expect(config(["--config-file=c"], { file: "" }).name).toBe("default");
  });

  test("listening elsewhere keeps the default advertised URL", () => {
    const member = config(["--config-file=c"], { file: "listen-client-urls: http://127.0.0.1:1\n" });
    expect(member.advertiseClientUrls.map(({ text }) => text)).toEqual(["http://localhost:2379"]);
  });

  test.each([
    ["name: [1]", "name: "],
    ["name: 5", "name: "],
    ['heartbeat-interval: "x"', "heartbeat-interval: "],
    ["grpc-keepalive-min-time: 5s", "grpc-keepalive-min-time: "],
    ["max-wals: -1", "max-wals: "],
    ["max-wals: 1.5", "max-wals: "],
    ["auto-compaction-retention: 1", "auto-compaction-retention: "],
    ['pre-vote: "yes"', "pre-vote: "],
    ["log-outputs: stderr", "log-outputs: "],
    ["feature-gates: Foo=true", "feature-gates: unrecognized feature gate: Foo"],
    ["feature-gates: {LeaseCheckpoint: true}", "feature-gates: must not be a mapping"],
    ["peer-transport-security: 3", "peer-transport-security: must be a mapping"],
    ["cors: foo", "cors: URL scheme must be"],
    ["initial-cluster-state: foo", "initial-cluster-state: "],
    ["listen-client-urls: http://foo", "listen-client-urls: URL address does not have the form"],
    ["client-transport-security: {allowed-cn: [a]}", "client-transport-security.allowed-cn is not supported yet"],
    ["heartbeat-interval: 0", "--heartbeat-interval must be >0"],
    ["name: a: b", "error converting YAML to JSON"],
    ["- a", "the configuration file must hold a mapping"],
  ])("%s is refused", (file, expected) => {
    const message = error(["--config-file=c.yml"], { file: `${file}\n` });
    expect(message.startsWith(`1: ${expected}`), message).toBe(true);
  });

  test("unknown keys are reported", () => {
    const result = load(["--config-file=c"], { file: "foo: 1\nbar: {baz: 2}\nempty:\npeer-transport-security:\n" });
    expect(result.kind === "run" && result.notes.map((note) => note.fields)).toContainEqual({
      keys: ["foo", "bar.baz"],
    });
  });
});

test("whether a file is named is known before it is read", () => {
  const argv = ["--name=x", "--config-file=a.yml"];
  const environment = { ETCD_CONFIG_FILE: "b.yml" };
  expect(configFilePath({ argv: ["--name=x"], environment: {} })).toBe("");
  expect(configFilePath({ argv, environment })).toBe("a.yml");
  expect(configFilePath({ argv: [], environment })).toBe("b.yml");
  expect(configFilePath({ argv: ["--nope"], environment })).toBe("");
});

describe("an embedded member", () => {
  test("is configured by flags", () => {
    const result = configFromFlags({ name: "e", "max-wals": "2" });
    expect(result).toMatchObject({ kind: "run", config: { name: "e", maxWals: 2 } });
    expect(configFromFlags({ nope: "1" }).kind).toBe("usage");
  });

  test("reads no file", () => {
    expect(configFromFlags({ "config-file": "x.yml" })).toMatchObject({
      kind: "refused",
      error: "an embedded member takes flags only, not x.yml",
    });
  });
});
