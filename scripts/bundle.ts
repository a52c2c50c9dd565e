/**
 * Bundles the programs for their launchers, `packages/{server,ctl}/bundle/`: of a start's processor time, half went
 * into finding and opening hundreds of modules. Made from the compiled files, so that what tests and the simulator run
 * is what is bundled; who embeds a member imports those. Not minified: names in stack traces stay, and with
 * `NODE_OPTIONS=--enable-source-maps` they name the compiled files.
 *
 *   npm run build
 */

import { renameSync, rmSync } from "node:fs";
import { build } from "rolldown";

interface Bundle {
  readonly directory: string;
  /** Program to its first module. */
  readonly programs: Readonly<Record<string, string>>;
}

const bundles: readonly Bundle[] = [
  {
    directory: "packages/server/bundle",
    programs: { etcd: "packages/server/dist/main.js", etcdutl: "packages/server/dist/etcdutl/main.js" },
  },
  { directory: "packages/ctl/bundle", programs: { etcdctl: "packages/ctl/dist/main.js" } },
];

/** Libraries with native parts, which they look for beside themselves. */
const native = ["lmdb", "fs-native-extensions", "@node-rs/crc32", "@node-rs/bcrypt"];

for (const { directory, programs } of bundles) {
  // Renamed when whole: a launcher meets no part of a bundle.
  const unfinished = `${directory}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  await build({
    input: programs,
    platform: "node",
    external: native,
    logLevel: "warn",
    output: {
      dir: unfinished,
      format: "esm",
      sourcemap: true,
      comments: { jsdoc: false },
      chunkFileNames: "[name].js",
    },
  });
  rmSync(directory, { recursive: true, force: true });
  renameSync(unfinished, directory);
}
