/** A process that ends because its disk failed must end with its own code and words, whatever its threads are doing. */

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repository } from "./support/shim.js";

const program = join(repository, "build/tests/robustness/programs/exit-while-committing.js");

function run(directory: string, milliseconds: number): Promise<{ readonly code: unknown; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, directory, "7", String(milliseconds)], (error, _, stderr) => {
      resolve({ code: error?.code ?? error?.signal, stderr });
    });
  });
}

test("a process that exits while its databases are opened and committed ends with its code", async () => {
  for (let milliseconds = 0; milliseconds < 200; milliseconds += 10) {
    const directory = mkdtempSync(join(tmpdir(), "etcd-ts-exit-"));
    try {
      expect(await run(directory, milliseconds)).toEqual({ code: 7, stderr: "" });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
});
