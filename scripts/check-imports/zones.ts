/**
 * The house's rules as data: which package may import which, which directories of the server may import which, and
 * what each zone may touch. ARCHITECTURE.md says the same in prose.
 */

/** Zone of a source file: what it may reach. */
export type Zone = "pure" | "ported" | "real";

/** Packages that each package may import, tests included. */
export const packageArrows: Readonly<Record<string, readonly string[]>> = {
  api: [],
  raft: [],
  store: ["api"],
  grpc: [],
  server: ["api", "raft", "store", "grpc"],
  client: ["api", "grpc"],
  ctl: ["client", "api"],
  console: [],
  sim: ["api", "raft", "store", "grpc", "server", "client", "ctl"],
};

/**
 * Further arrows, for some files only: the server reaches the client for locks, elections, the embedded client and
 * discovery.
 */
export const fileArrows: readonly { readonly file: RegExp; readonly package: string }[] = [
  { file: /^packages\/server\/src\/.*(lock|election|own-client|embed|discovery-client)[^/]*\.ts$/, package: "client" },
];

/**
 * Directories of `packages/server/src` and what of it they must not import: rpc → node → {wal, snapshot, peers} → env.
 * Importing a type is allowed everywhere: an interface is declared where it is used and implemented elsewhere.
 */
export const serverFences: Readonly<Record<string, readonly string[]>> = {
  backend: ["config", "http", "metrics", "node", "peers", "platform", "rpc", "snapshot", "wal"],
  bbolt: ["config", "http", "metrics", "node", "peers", "platform", "rpc", "wal"],
  config: ["backend", "bbolt", "http", "metrics", "node", "peers", "platform", "rpc", "snapshot", "wal"],
  http: ["backend", "bbolt", "node", "peers", "platform", "rpc", "snapshot", "wal"],
  metrics: ["backend", "bbolt", "config", "http", "node", "peers", "platform", "rpc", "snapshot", "wal"],
  node: ["http", "platform", "rpc"],
  peers: ["http", "node", "platform", "rpc", "wal"],
  platform: ["node", "rpc"],
  rpc: ["platform", "wal"],
  snapshot: ["http", "node", "peers", "platform", "rpc"],
  tls: ["backend", "bbolt", "http", "metrics", "node", "peers", "platform", "rpc", "snapshot", "wal"],
  wal: ["backend", "bbolt", "http", "node", "peers", "platform", "rpc", "snapshot"],
};

/** First match decides; files outside `packages/` are real. */
const zoneRules: readonly { readonly path: RegExp; readonly zone: Zone }[] = [
  { path: /\.test\.ts$|\/testing\//, zone: "real" },
  { path: /^packages\/(api|raft|store)\/src\//, zone: "pure" },
  { path: /^packages\/grpc\/src\/core\//, zone: "pure" },
  { path: /^packages\/grpc\/src\/node\//, zone: "real" },
  { path: /^packages\/grpc\/src\//, zone: "ported" },
  { path: /^packages\/server\/src\/(platform\/|(.*\/)?main\.ts$|.*\.worker\.ts$)/, zone: "real" },
  { path: /^packages\/server\/src\//, zone: "ported" },
];

export function zoneOf(path: string): Zone {
  return zoneRules.find((rule) => rule.path.test(path))?.zone ?? "real";
}

/** Packages of npm that carry native code or reach the machine: real zone only. */
export const nativeModules: readonly string[] = [
  "@node-rs/bcrypt",
  "@node-rs/crc32",
  "fs-native-extensions",
  "lmdb",
  "pino",
];

/** Names that a zone may not use as globals. */
export const bannedGlobals: Readonly<Record<Zone, readonly string[]>> = {
  pure: [
    "FinalizationRegistry",
    "Intl",
    "Promise",
    "WeakRef",
    "crypto",
    "fetch",
    "performance",
    "process",
    "queueMicrotask",
    "setImmediate",
    "setInterval",
    "setTimeout",
  ],
  ported: ["crypto", "fetch", "performance", "process", "setImmediate", "setInterval", "setTimeout"],
  real: [],
};

/** Members of globals that a zone may not use. */
export const bannedMembers: Readonly<Record<Zone, readonly string[]>> = {
  pure: ["Date.now", "Math.random"],
  ported: ["Date.now", "Math.random"],
  real: [],
};

/** Methods whose result depends on the machine's locale, whatever they are called on. */
export const bannedMethods: Readonly<Record<Zone, readonly string[]>> = {
  pure: ["localeCompare", "toLocaleLowerCase", "toLocaleString", "toLocaleUpperCase"],
  ported: [],
  real: [],
};

/** Files that the outside starts with, besides packages' exports, launchers and written commands. */
export const entryPoints: readonly RegExp[] = [
  /\.(test|config|worker)\.ts$/,
  /\/main\.ts$/,
  /^(examples|tests\/interop|bench)\//,
  // `npm run soak -- NAME` finds its checks by listing the directory.
  /^scripts\/soak\/[^/]+\.ts$/,
];
