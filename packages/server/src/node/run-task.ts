import { Budget, type Task } from "@etcd-ts/store";
import type { Clock } from "../env.js";

/** Units (about a microsecond each) of one slice. */
const sliceUnits = 4000;

/** Carries a task to its end in slices between other work; a short one at once. */
export function runTask<Result>(
  clock: Clock,
  makeTask: (budget: Budget) => Task<Result>,
  done: (result: Result) => void,
): void {
  const budget = new Budget(0);
  const task = makeTask(budget);
  const step = (): void => {
    budget.left = sliceUnits;
    const { done: isDone, value } = task.next();
    if (isDone === true) done(value);
    else clock.defer(step);
  };
  step();
}
