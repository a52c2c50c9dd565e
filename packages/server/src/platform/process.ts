import type { ProcessPort } from "../env.js";

/** This process. */
export const nodeProcess: ProcessPort = {
  exit: (code: number) => process.exit(code),
  onSignal: (signal, handler) => void process.on(signal, handler),
};
