/** Golden scripts of configuration changes: `simple`, `enter-joint [autoleave=true]`, `leave-joint`. */

import { Changer, type ConfChangeFault } from "../changer.js";
import { describeConfig } from "../describe.js";
import { describeProgressList } from "../progress.js";
import { ProgressTracker, type Tracking } from "../tracker.js";
import { noLimit } from "../types.js";
import { parseChanges } from "./changes.js";
import { argumentValues, type Command } from "./script.js";

/** Returns a handler that carries one configuration from command to command. */
export function confChangeHandler(): (command: Command) => string {
  const tracker = new ProgressTracker(10, noLimit);
  let lastIndex = 0;
  return (command) => {
    const changes = parseChanges(command.input);
    const changer = new Changer(tracker, lastIndex++);
    if (typeof changes === "string") return changes;
    let next: Tracking | ConfChangeFault;
    switch (command.name) {
      case "simple":
        next = changer.simple(changes);
        break;
      case "enter-joint":
        next = changer.enterJoint(argumentValues(command, "autoleave")?.[0] === "true", changes);
        break;
      case "leave-joint":
        next = changes.length > 0 ? { fault: "this command takes no input" } : changer.leaveJoint();
        break;
      default:
        return "unknown command";
    }
    if ("fault" in next) return `${next.fault}\n`;
    tracker.switchTo(next);
    return `${describeConfig(tracker.config)}\n${describeProgressList(tracker.progress.map((one) => one.status()))}`;
  };
}
