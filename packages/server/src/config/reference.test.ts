import { describe, expect, test } from "vitest";
import { readConfigFile } from "./config-file.js";
import { helpText, usageText, versionText } from "./help.js";
import { loadConfig } from "./load-config.js";
import { configurationPage, sampleFile } from "./testing/reference.js";

// Rewritten by `npx vitest run packages/server/src/config -u`.
describe("the documents are current", () => {
  test("docs/configuration.md", async () => {
    await expect(configurationPage()).toMatchFileSnapshot("../../../../docs/configuration.md");
  });

  test("docs/etcd.conf.yml", async () => {
    await expect(sampleFile()).toMatchFileSnapshot("../../../../docs/etcd.conf.yml");
  });
});

test("the sample file says what an empty one does", () => {
  const load = (file: string) =>
    loadConfig({
      argv: ["--config-file=etcd.conf.yml"],
      environment: {},
      host: { defaultHost: undefined },
      readFile: (_path, notes) => readConfigFile(file, notes),
      version: "",
    });
  const sample = load(sampleFile());
  const empty = load("");
  expect(sample.kind).toBe("run");
  expect(sample).toEqual(empty);
});

test("the version is printed as etcd prints it", () => {
  const facts = {
    version: "3.7.3",
    gitSha: undefined,
    nodeVersion: "v20.19.0",
    platform: "linux",
    architecture: "x64",
  };
  expect(versionText(facts)).toBe(
    "etcd Version: 3.7.3\nGit SHA: Not provided\nGo Version: none (node v20.19.0)\nGo OS/Arch: linux/amd64\n",
  );
});

test("help names every flag of its groups once", () => {
  const text = helpText();
  expect(text.startsWith(usageText())).toBe(true);
  expect(text).toContain("\nMember:\n  --name 'default'\n    Name of this member");
  expect(text.match(/^ {2}--max-wals /gm)).toHaveLength(1);
  expect(text).toContain("      LeaseCheckpoint=true|false (ALPHA - default=false)");
});
