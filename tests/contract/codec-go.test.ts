import { expect, it } from "vitest";
import { run } from "../../scripts/soak/codec.js";

it("Go's protobuf reads what we would log, and as the same request", async () => {
  const { passed, failed } = await run(["--count", "3000", "--seed", "20261123"]);
  expect(failed).toBe(0);
  expect(passed).toBeGreaterThan(3000);
});
