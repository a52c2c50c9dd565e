export { runMuseum } from "./museum.js";
export { defaultSeconds, describeOptions, drawOptions, type Overrides, type SimOptions } from "./options.js";
export { type RunOptions, type RunResult, simulate } from "./simulation.js";
