import { expect, test } from "vitest";
import { isOneMinorBelow, parseTargetVersion } from "./downgrade.js";

test("a target is a major and a minor version", () => {
  expect(parseTargetVersion("3.6")).toBe("3.6.0");
  expect(parseTargetVersion("3.6.4")).toBe("3.6.0");
  expect(parseTargetVersion("3.6.0-rc.1")).toBe("3.6.0");
  for (const text of ["", "3", "v3.6", "3.x", "nonsense", "3.6.0.0"]) expect(parseTargetVersion(text)).toBeUndefined();
});

test("a cluster goes back one minor version at a time", () => {
  expect(isOneMinorBelow("3.6.0", "3.7.0")).toBe(true);
  expect(isOneMinorBelow("3.5.0", "3.7.0")).toBe(false);
  expect(isOneMinorBelow("3.7.0", "3.7.0")).toBe(false);
  expect(isOneMinorBelow("2.6.0", "3.7.0")).toBe(false);
});
