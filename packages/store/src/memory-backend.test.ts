import { MemoryBackend } from "./memory-backend.js";
import { backendContract } from "./testing/backend-contract.js";

backendContract("memory", () => {
  const backend = new MemoryBackend({ commitOperations: Number.POSITIVE_INFINITY });
  return {
    backend,
    commit: () => backend.commit(),
    crash: () => {
      backend.crash();
      return backend;
    },
    close: () => undefined,
  };
});
