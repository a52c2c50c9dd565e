/** `npm run cluster`: the members of the Procfile, each a process, until Ctrl-C. Data in ./cluster.etcd. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface Member {
  readonly name: string;
  readonly command: string;
  /** `http://…` */
  readonly clientUrl: string;
}

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Lines `name: command`; others are passed over, as goreman and foreman do. */
function readProcfile(text: string): Member[] {
  return [...text.matchAll(/^([A-Za-z0-9_-]+):\s*(\S.*)$/gm)].map(([, name = "", command = ""]) => ({
    name,
    command,
    clientUrl: /--advertise-client-urls (\S+)/.exec(command)?.[1] ?? "",
  }));
}

function start({ name, command, clientUrl }: Member): ChildProcess {
  const child = spawn("sh", ["-c", `exec ${command}`], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  console.log(`${name}: process ${child.pid}, clients at ${clientUrl}`);
  child.on("exit", (code, signal) => console.log(`${name}: ended (${signal ?? code})`));
  return child;
}

const members = readProcfile(readFileSync(join(root, "Procfile"), "utf8"));
const children = members.map(start);
const endpoints = members.map(({ clientUrl }) => clientUrl.replace("http://", "")).join(",");
console.log(`
${members.length} members; try
  bin/etcdctl --endpoints=${endpoints} endpoint status -w table
  kill -9 <process of the leader>, and ask again
`);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    for (const child of children) child.kill("SIGTERM");
  });
}
