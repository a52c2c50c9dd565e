/** `npm run generate`: lints proto/, writes packages/api/src/gen from it, and docs/errors.md from the error table. */

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { plugin } from "./protoc-gen-etcdts/plugin.js";

/** Where the generated modules lie, from the root of the repository. */
export const generatedDirectory = "packages/api/src/gen";

/** All .proto files compiled by buf, as a FileDescriptorSet with comments. */
export function compileProtos(root: string): Uint8Array {
  return buf(root, ["build", "proto", "--as-file-descriptor-set", "--output", "-#format=binpb"]);
}

/** Generated modules by file name. Writes nothing. */
export function generate(root: string): ReadonlyMap<string, string> {
  const { file } = fromBinary(FileDescriptorSetSchema, compileProtos(root));
  const request = create(CodeGeneratorRequestSchema, {
    parameter: "target=ts",
    protoFile: file,
    fileToGenerate: file.map((proto) => proto.name),
  });
  const response = plugin.run(request);
  return new Map(response.file.map((output) => [output.name, output.content]));
}

function buf(root: string, args: readonly string[]): Uint8Array {
  return execFileSync(join(root, "node_modules/.bin/buf"), args, { cwd: root, maxBuffer: 64 << 20 });
}

async function main(root: string): Promise<void> {
  buf(root, ["lint", "proto"]);
  const directory = join(root, generatedDirectory);
  const files = generate(root);
  mkdirSync(directory, { recursive: true });
  for (const stale of readdirSync(directory)) if (!files.has(stale)) rmSync(join(directory, stale));
  for (const [name, content] of files) writeFileSync(join(directory, name), content);
  // Loaded late: it depends on the built package, which a broken generated file must not keep from being replaced.
  const { errorsPage } = await import("./errors-page.js");
  writeFileSync(join(root, "docs/errors.md"), errorsPage());
  console.log(`${files.size} files in ${generatedDirectory}, docs/errors.md`);
}

if (process.argv[1]?.endsWith("generate.js")) await main(process.cwd());
