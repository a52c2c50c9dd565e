import type { ProcessFacts } from "../http/client-handler.js";
import { fileDescriptorLimit, memoryFacts } from "./process-metrics.js";

/** This process, for `/debug/vars` and metrics. */
export const processFacts: ProcessFacts = {
  runtimeVersion: `node ${process.version}`,
  commandLine: process.argv,
  fileDescriptorLimit: fileDescriptorLimit(),
  memory: memoryFacts,
};
