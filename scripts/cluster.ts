/** `npm run cluster`: three members on this machine, each a process, until Ctrl-C. Data in ./cluster.etcd. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const directory = "cluster.etcd";
const members = [
  { name: "m1", client: 2379, peer: 2380 },
  { name: "m2", client: 22379, peer: 22380 },
  { name: "m3", client: 32379, peer: 32380 },
];
const initialCluster = members.map(({ name, peer }) => `${name}=http://127.0.0.1:${peer}`).join(",");

function start({ name, client, peer }: (typeof members)[number]): ChildProcess {
  const flags = [
    ["--name", name],
    ["--data-dir", join(directory, name)],
    ["--listen-peer-urls", `http://127.0.0.1:${peer}`],
    ["--initial-advertise-peer-urls", `http://127.0.0.1:${peer}`],
    ["--listen-client-urls", `http://127.0.0.1:${client}`],
    ["--advertise-client-urls", `http://127.0.0.1:${client}`],
    ["--initial-cluster", initialCluster],
    ["--log-level", "warn"],
  ].flat();
  const child = spawn(process.execPath, [join(root, "bin", "etcd"), ...flags], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  console.log(`${name}: process ${child.pid}, clients at http://127.0.0.1:${client}`);
  child.on("exit", (code, signal) => console.log(`${name}: ended (${signal ?? code})`));
  return child;
}

mkdirSync(directory, { recursive: true, mode: 0o700 });
const children = members.map(start);
console.log(`
three members; try
  bin/etcdctl --endpoints=${members.map(({ client }) => `127.0.0.1:${client}`).join(",")} endpoint status -w table
  kill -9 <process of the leader>, and ask again
`);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    for (const child of children) child.kill("SIGTERM");
  });
}
