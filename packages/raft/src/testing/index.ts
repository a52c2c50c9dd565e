/** Tools to test Raft with: golden scripts in the language of etcd-io/raft's own tests, and random groups. */

import { confChangeHandler } from "./confchange-script.js";
import { InteractionEnvironment } from "./interaction.js";
import { handleQuorum } from "./quorum-script.js";
import { runScript, type ScriptResult } from "./script.js";

export { InteractionEnvironment } from "./interaction.js";
export { InvariantViolation } from "./invariants.js";
export { type ModelFigures, type ModelOptions, runModel } from "./model.js";
export { SeededRandom } from "./random.js";
export { type Command, describeMismatch, type Mismatch, runScript, ScriptError, type ScriptResult } from "./script.js";

/** What a script is about. */
export type ScriptKind = "interaction" | "confchange" | "quorum";

/** The kind of the script at `path`: the nearest folder named after one, by default interaction. */
export function scriptKindOf(path: string): ScriptKind {
  for (const folder of path.split(/[/\\]/).reverse()) {
    if (folder === "quorum" || folder === "confchange" || folder === "interaction") return folder;
  }
  return "interaction";
}

/** Runs a script of the given kind on a fresh environment. */
export function runScriptOf(kind: ScriptKind, script: string): ScriptResult {
  switch (kind) {
    case "interaction": {
      const environment = new InteractionEnvironment();
      return runScript(script, (command) => environment.handle(command));
    }
    case "confchange":
      return runScript(script, confChangeHandler());
    case "quorum":
      return runScript(script, handleQuorum);
  }
}
