/**
 * Checks a repository against the rules of `zones.ts`. Pure: files in, violations out, so that tests feed it snippets.
 */

import { builtinModules } from "node:module";
import { type ModuleFacts, readModule } from "./module-facts.js";
import {
  bannedGlobals,
  bannedMembers,
  bannedMethods,
  entryPoints,
  fileArrows,
  nativeModules,
  packageArrows,
  serverFences,
  zoneOf,
} from "./zones.js";

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: "arrow" | "deep-import" | "dependency" | "export-all" | "fence" | "machine-path" | "orphan" | "zone";
  readonly message: string;
}

/** Text of every tracked file by path from the root, `/` between directories. */
export type Files = ReadonlyMap<string, string>;

interface Manifest {
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const scope = "@etcd-ts/";

export function checkRepository(files: Files): readonly Violation[] {
  const modules = new Map<string, ModuleFacts>();
  for (const [path, text] of files) {
    if (path.endsWith(".ts") && !path.endsWith(".d.ts")) modules.set(path, readModule(path, text));
  }
  const manifests = readManifests(files);
  const violations: Violation[] = [];
  for (const [path, facts] of modules) {
    violations.push(...checkImports(path, facts, manifests), ...checkZone(path, facts));
    for (const { line } of facts.wholesaleExports) {
      violations.push({ path, line, rule: "export-all", message: "name what is exported instead of `export *`" });
    }
  }
  violations.push(...checkOrphans(files, modules, manifests), ...checkMachinePaths(files));
  return violations.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

function readManifests(files: Files): ReadonlyMap<string, Manifest> {
  const manifests = new Map<string, Manifest>();
  for (const [path, text] of files) {
    const directory = /^(packages\/[^/]+\/)?package\.json$/.exec(path);
    if (directory !== null) manifests.set(directory[1] ?? "", JSON.parse(text) as Manifest);
  }
  return manifests;
}

function packageOf(path: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(path)?.[1];
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.includes("/testing/");
}

function checkImports(path: string, facts: ModuleFacts, manifests: ReadonlyMap<string, Manifest>): Violation[] {
  const violations: Violation[] = [];
  for (const { line, name, typeOnly } of facts.imports) {
    const found = name.startsWith(".")
      ? checkRelative(path, name, { typeOnly })
      : name.startsWith(scope)
        ? checkSibling(path, name, manifests)
        : checkModule(path, name, manifests);
    if (found !== undefined) violations.push({ path, line, ...found });
  }
  return violations;
}

type Found = Pick<Violation, "message" | "rule"> | undefined;

function checkRelative(path: string, name: string, { typeOnly }: { readonly typeOnly: boolean }): Found {
  const target = resolve(path, name);
  const from = packageOf(path);
  const to = packageOf(target);
  if (to !== from && to !== undefined && !isTest(path)) {
    return { rule: "deep-import", message: `${name} reaches into packages/${to}; import ${scope}${to}` };
  }
  if (from !== "server" || to !== "server" || typeOnly || isTest(path)) return undefined;
  const directory = serverDirectory(path);
  const fenced = serverDirectory(target);
  if (directory === undefined || fenced === undefined) return undefined;
  if (serverFences[directory]?.includes(fenced) !== true) return undefined;
  return { rule: "fence", message: `server's ${directory}/ must not import ${fenced}/ (${name})` };
}

function serverDirectory(path: string): string | undefined {
  return /^packages\/server\/src\/([^/]+)\//.exec(path)?.[1];
}

function checkSibling(path: string, name: string, manifests: ReadonlyMap<string, Manifest>): Found {
  const [, to = "", subpath = ""] = /^@etcd-ts\/([^/]+)(?:\/(.*))?$/.exec(name) ?? [];
  const from = packageOf(path);
  const isAllowed =
    from === undefined ||
    packageArrows[from]?.includes(to) === true ||
    fileArrows.some((arrow) => arrow.package === to && arrow.file.test(path));
  if (!isAllowed) return { rule: "arrow", message: `packages/${from} must not import ${scope}${to}` };
  const exported = manifests.get(`packages/${to}/`)?.exports ?? {};
  if (!Object.hasOwn(exported, subpath === "" ? "." : `./${subpath}`)) {
    return { rule: "deep-import", message: `${name} is not exported by packages/${to}` };
  }
  return undefined;
}

const builtins = new Set(builtinModules);

function checkModule(path: string, name: string, manifests: ReadonlyMap<string, Manifest>): Found {
  const zone = zoneOf(path);
  if (name.startsWith("node:") || builtins.has(name)) {
    if (zone === "real") return undefined;
    return { rule: "zone", message: `${name} belongs to the real zone; this file is ${zone}` };
  }
  const moduleName = name.split("/", name.startsWith("@") ? 2 : 1).join("/");
  if (zone !== "real" && nativeModules.includes(moduleName)) {
    return { rule: "zone", message: `${moduleName} belongs to the real zone; this file is ${zone}` };
  }
  if (zone === "pure") return { rule: "zone", message: `a pure file has no dependencies (${moduleName})` };
  const own = manifests.get(`packages/${packageOf(path)}/`);
  const root = manifests.get("");
  const isDevelopment = packageOf(path) === undefined || isTest(path);
  const listed = { ...own?.dependencies, ...(isDevelopment ? root?.devDependencies : {}) };
  if (Object.hasOwn(listed, moduleName)) return undefined;
  // Tools outside the packages may use what a package depends on: npm hoists it.
  if (isDevelopment && [...manifests.values()].some((manifest) => moduleName in (manifest.dependencies ?? {}))) {
    return undefined;
  }
  return { rule: "dependency", message: `${moduleName} is not listed in package.json` };
}

function checkZone(path: string, facts: ModuleFacts): Violation[] {
  const zone = zoneOf(path);
  const banned = (rule: readonly string[], uses: ModuleFacts["globals"]): Violation[] =>
    uses
      .filter(({ name }) => rule.includes(name))
      .map(({ line, name }) => ({ path, line, rule: "zone", message: `${name} is banned in the ${zone} zone` }));
  const impurities = facts.impurities.filter(
    ({ name }) => zone === "pure" || (zone === "ported" && name === "the current date"),
  );
  return [
    ...banned(bannedGlobals[zone], facts.globals),
    ...banned(bannedMembers[zone], facts.members),
    ...banned(bannedMethods[zone], facts.methods),
    ...impurities.map(
      ({ line, name }): Violation => ({ path, line, rule: "zone", message: `${name} is banned in the ${zone} zone` }),
    ),
  ];
}

/** A file of ours that nothing reaches is dead code. Production files must be reached by more than tests. */
function checkOrphans(
  files: Files,
  modules: ReadonlyMap<string, ModuleFacts>,
  manifests: ReadonlyMap<string, Manifest>,
): Violation[] {
  const entries = entryFiles(files, manifests);
  const used = new Set<string>();
  const usedByTests = new Set<string>();
  for (const [path, { imports }] of modules) {
    for (const { name } of imports) {
      if (!name.startsWith(".")) continue;
      (isTest(path) ? usedByTests : used).add(resolve(path, name));
    }
  }
  const violations: Violation[] = [];
  for (const path of modules.keys()) {
    if (entries.has(path) || entryPoints.some((entry) => entry.test(path)) || used.has(path)) continue;
    const mayBeTestOnly = path.includes("/testing/") || path.startsWith("tests/");
    if (mayBeTestOnly && usedByTests.has(path)) continue;
    const message = usedByTests.has(path) ? "only tests import this file" : "nobody imports this file";
    violations.push({ path, line: 1, rule: "orphan", message });
  }
  return violations;
}

/** A built program by its path, wherever it is named: in npm scripts, pages, its own header, where it is spawned. */
const startCommands = /\b((?:build|packages\/[^/\s]+\/dist)\/[\w./-]+\.js)\b/g;

/** Sources that package exports, launchers and written commands start with. */
function entryFiles(files: Files, manifests: ReadonlyMap<string, Manifest>): ReadonlySet<string> {
  const entries = new Set<string>();
  const addBuilt = (path: string) => {
    entries.add(
      path.replace(/^(packages\/[^/]+)\/dist\/(.*)\.js$/, "$1/src/$2.ts").replace(/^build\/(.*)\.js$/, "$1.ts"),
    );
  };
  for (const [directory, manifest] of manifests) {
    for (const target of Object.values(manifest.exports ?? {})) {
      const path = typeof target === "string" ? target : target[`${scope}source`];
      if (path !== undefined) entries.add(resolve(`${directory}package.json`, path));
    }
  }
  for (const [path, text] of files) {
    for (const [, built = ""] of text.matchAll(startCommands)) addBuilt(built);
    if (!path.startsWith("bin/")) continue;
    for (const [, target = ""] of text.matchAll(/["'](\.[^"']+\.js)["']/g)) addBuilt(resolveText(path, target));
  }
  return entries;
}

/** Built from pieces, so that this file does not hold what it looks for. */
const machinePaths = new RegExp(
  [
    ["", "work", "(main|shared|\\.library)\\b"],
    ["", "root", ""],
    ["", "home", "[a-z][\\w-]*", ""],
    ["", "Users", "[A-Za-z][\\w-]*", ""],
    ["", "tmp", "helpers\\b"],
  ]
    .map((parts) => `(?<![\\w.~-])${parts.join("/")}`)
    .join("|"),
);
/** In what npm reads only. */
const registryFiles = /(^|\/)(\.npmrc|package-lock\.json)$/;
const registryUrl = /"resolved": "https?:\/\/(?!registry\.npmjs\.org\/)|^\s*(@[\w-]+:)?registry\s*=/m;

function checkMachinePaths(files: Files): Violation[] {
  const violations: Violation[] = [];
  for (const [path, text] of files) {
    for (const pattern of registryFiles.test(path) ? [machinePaths, registryUrl] : [machinePaths]) {
      const match = pattern.exec(text);
      if (match === null) continue;
      const line = text.slice(0, match.index).split("\n").length;
      const message = `holds a path or host of one machine: ${match[0].trim()}`;
      violations.push({ path, line, rule: "machine-path", message });
    }
  }
  return violations;
}

/** Path of the source that a relative import of `from` means: `./x.js` is `x.ts`. */
function resolve(from: string, name: string): string {
  return resolveText(from, name).replace(/\.js$/, ".ts");
}

function resolveText(from: string, name: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
