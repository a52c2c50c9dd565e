/** The buffered backend over LMDB does what the state machine asks of any backend. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backendContract } from "@etcd-ts/store/testing";
import { BufferedBackend } from "../backend/buffered-backend.js";
import type { Database } from "../backend/database.js";
import type { Clock } from "../env.js";
import { nodeClock } from "./clock.js";
import { nodeDigest } from "./digest.js";
import { openLmdbDatabase } from "./lmdb-database.js";

/** Nothing is committed unless the contract asks for it. */
const timelessClock: Clock = { ...nodeClock, setTimer: () => ({ cancel: () => undefined }) };

backendContract("LMDB", async () => {
  const directory = mkdtempSync(join(tmpdir(), "etcd-ts-contract-"));
  let database: Database;
  let backend: BufferedBackend;
  const open = async (): Promise<BufferedBackend> => {
    database = await openLmdbDatabase(directory);
    backend = new BufferedBackend({
      clock: timelessClock,
      digest: nodeDigest,
      database,
      onFailure: (error) => {
        throw error;
      },
    });
    return backend;
  };
  return {
    backend: await open(),
    commit: async () => {
      backend.requestCommit();
      const index = backend.get("meta", new TextEncoder().encode("consistent_index"));
      if (index !== undefined) await backend.whenDurable(Number(new DataView(index.slice().buffer).getBigUint64(0)));
    },
    crash: async () => {
      await database.close();
      return open();
    },
    close: async () => {
      await backend.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
});
