import { expect, test } from "vitest";
import { Spares } from "./spares.js";

test("what is given is taken again, up to a limit", () => {
  const spares = new Spares<string>(2);
  expect(spares.take()).toBeUndefined();
  for (const item of ["a", "b", "c"]) spares.give(item);
  expect([spares.take(), spares.take(), spares.take()].sort()).toEqual(["a", "b", undefined]);
});
