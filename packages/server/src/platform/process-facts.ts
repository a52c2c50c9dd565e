import type { ProcessFacts } from "../http/client-handler.js";
import { fileDescriptorLimit, memoryFacts } from "./process-metrics.js";

/** This process, for `/debug/vars`. */
export const processFacts: ProcessFacts = {
  commandLine: process.argv,
  fileDescriptorLimit: fileDescriptorLimit(),
  memory: memoryFacts,
};
