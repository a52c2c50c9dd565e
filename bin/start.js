// What the launchers share. npm's `prepare` compiles the packages and bundles the programs, a launcher never does.
import { statSync } from "node:fs";

const bundled = ["api", "raft", "store", "grpc", "client", "server", "ctl"];

/**
 * Starts a program from its bundle, which loads in half of the time of hundreds of modules; from the modules when they
 * were compiled after the bundle was made.
 */
export async function start(name, { bundle, modules }) {
  const program = isFresh(bundle) ? bundle : modules;
  if (changed(program) === undefined) {
    process.stderr.write(`${name}: not built yet, run \`npm run build\` first\n`);
    process.exit(1);
  }
  await import(new URL(program, import.meta.url).href);
}

function isFresh(bundle) {
  const made = changed(bundle);
  if (made === undefined) return false;
  // A package as it is published has no compiler's notes, and no compiler that could be ahead of the bundle.
  return bundled.every((name) => (changed(`../packages/${name}/tsconfig.tsbuildinfo`) ?? made) <= made);
}

/** When a file was last written, in milliseconds; undefined when there is none. */
function changed(path) {
  return statSync(new URL(path, import.meta.url), { throwIfNoEntry: false })?.mtimeMs;
}
