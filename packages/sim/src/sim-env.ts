/** The world of one incarnation of a member, under virtual time. */

import { createHash } from "node:crypto";
import { crc32c } from "@etcd-ts/api";
import type { Clock, Digest, Env, Logger } from "@etcd-ts/server/internal";
import type { Incarnation } from "./incarnation.js";
import type { SimRandom } from "./random.js";
import { DatabaseContent, SimDatabase } from "./sim-database.js";
import { type DiskContent, type DiskFaults, SimDisk, type StorageStep } from "./sim-disk.js";
import type { SimNetworkFabric } from "./sim-network.js";

/** What a machine keeps when its process ends. */
export interface Machine {
  readonly host: string;
  readonly disk: DiskContent;
  readonly databases: Map<string, DatabaseContent>;
  /** Milliseconds of its clock per millisecond of the world. */
  clockRate: number;
  /** Milliseconds of its wall clock before or after the world's. */
  wallOffsetMs: number;
  /** Called once, when that step of its storage begins next. */
  aim: { readonly step: StorageStep; readonly reached: () => void } | undefined;
}

const digest: Digest = {
  sha1: (bytes) => createHash("sha1").update(bytes).digest(),
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  startSha256: () => {
    const hash = createHash("sha256");
    return { update: (bytes) => void hash.update(bytes), finish: () => hash.digest() };
  },
  crc32c,
};

/** Wall time of the world's beginning. */
const epochMs = 1_700_000_000_000;

export interface SimEnvOptions {
  readonly incarnation: Incarnation;
  readonly machine: Machine;
  readonly random: SimRandom;
  readonly fabric: SimNetworkFabric;
  readonly diskFaults: () => DiskFaults;
  readonly logger: Logger;
  exited(code: number): void;
}

/** Each machine's name has an address, which is only ever compared. */
const names: Env["dns"] = {
  services: async (name) => Promise.reject(new Error(`lookup ${name}: no such host`)),
  addresses: async (host) => [
    `fd00::${Buffer.from(host)
      .toString("hex")
      .replace(/(.{4})(?=.)/g, "$1:")}`,
  ],
  names: async (address) => Promise.reject(new Error(`lookup ${address}: no such host`)),
};

export function createSimEnv(options: SimEnvOptions): Env {
  const { incarnation, machine, random, fabric, diskFaults, logger } = options;
  const { world } = incarnation;
  const began = (step: StorageStep): void => {
    const { aim } = machine;
    if (aim?.step !== step || !incarnation.alive) return;
    machine.aim = undefined;
    aim.reached();
  };
  const clock: Clock = {
    now: () => world.now * machine.clockRate,
    wallTime: () => epochMs + world.now + machine.wallOffsetMs,
    setTimer: (delayMs, callback) => incarnation.schedule(delayMs / machine.clockRate, callback),
    defer: (callback) => incarnation.defer(callback),
  };
  return {
    clock,
    random,
    disk: new SimDisk(machine.disk, incarnation, random.split("disk"), diskFaults, {
      began,
      removed: (path) => {
        for (const directory of [...machine.databases.keys()]) {
          if (directory === path || directory.startsWith(`${path}/`)) machine.databases.delete(directory);
        }
      },
    }),
    openDatabase: async (directory) => {
      let content = machine.databases.get(directory);
      if (content === undefined) {
        content = new DatabaseContent();
        machine.databases.set(directory, content);
      }
      return new SimDatabase(content, incarnation, random.split("database"), {
        latencyMs: () => diskFaults().latencyMs * 4,
        began: () => began("commit"),
      });
    },
    network: fabric.connect(machine.host, incarnation),
    dns: names,
    digest,
    logger,
    process: { exit: (code) => options.exited(code), onSignal: () => {} },
    fault: () => false,
  };
}
