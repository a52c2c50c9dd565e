/**
 * Our client beside the npm client `etcd3`, in turn, against one member of ours: 100 callers in one process, each of
 * which gets a key again as soon as it has it. The client is what is measured, so its processor time is shown, not the
 * server's.
 */

import { EtcdClient } from "@etcd-ts/client";
import { Etcd3 } from "etcd3";
import { Member } from "../tests/interop/support/member.js";
import { type Figures, type Line, median } from "./table.js";

export interface SdkOptions {
  readonly command: readonly string[];
  readonly flags: readonly string[];
  readonly directory: string;
  readonly runs: number;
  readonly seconds: number;
}

export const sdkRowName = "SDK: unary calls, beside npm etcd3";

const callers = 100;
const key = "sdk/key";
const value = "x".repeat(256);

interface Run {
  readonly rate: number;
  readonly cpuSecondsPer100k: number;
}

export async function measureSdk(options: SdkOptions): Promise<Line> {
  const member = await Member.start({ ...options, name: "sdk" });
  const ours = new EtcdClient({ endpoints: [member.endpoint] });
  const theirs = new Etcd3({ hosts: `http://${member.endpoint}` });
  try {
    await ours.kv.put(key, value);
    const oursGet = async (): Promise<boolean> => (await ours.kv.getText(key)) === value;
    const theirsGet = async (): Promise<boolean> => (await theirs.get(key).string()) === value;
    await run(oursGet, 1);
    await run(theirsGet, 1);
    const oursRuns: Run[] = [];
    const theirsRuns: Run[] = [];
    for (let i = 0; i < options.runs; i++) {
      oursRuns.push(await run(oursGet, options.seconds));
      theirsRuns.push(await run(theirsGet, options.seconds));
    }
    const [figures, peer] = [figuresOf(oursRuns), figuresOf(theirsRuns)];
    return {
      ...{ name: sdkRowName, unit: "/s", ours: figures, peer },
      ...{ ratio: figures.value / peer.value, target: 5, lessIsBetter: false },
    };
  } finally {
    ours.close();
    theirs.close();
    await member.close();
  }
}

async function run(get: () => Promise<boolean>, seconds: number): Promise<Run> {
  let calls = 0;
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1000;
  const call = async (): Promise<void> => {
    while (performance.now() < endMs) {
      if (!(await get())) throw new Error("the SDK read another value than it had put");
      calls++;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  const { user, system } = process.cpuUsage(cpu);
  return { rate: (calls * 1000) / (performance.now() - startedMs), cpuSecondsPer100k: (user + system) / 10 / calls };
}

function figuresOf(runs: readonly Run[]): Figures {
  return {
    value: median(runs.map(({ rate }) => rate)),
    cpuSecondsPer100k: median(runs.map(({ cpuSecondsPer100k }) => cpuSecondsPer100k)),
  };
}
