/** Names in generated code, made from names in .proto files. */

/** Words of an identifier, lower case: `prev_kvs`, `grantedTTL`, `peerURLs`, `LeaseTimeToLiveRequest`. */
function words(name: string): string[] {
  const found = name.match(/[A-Z]{2,}s?(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]/g) ?? [name];
  return found.map((word) => word.toLowerCase());
}

/** `prev_kvs` → `prevKvs`, `grantedTTL` → `grantedTtl`, `ID` → `id`. */
export function camelCase(name: string): string {
  return words(name)
    .map((word, index) => (index === 0 ? word : upperFirst(word)))
    .join("");
}

export function upperFirst(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** A type's name within its package, nesting shown by an underscore: `RangeRequest_SortOrder`. */
export function typeName(fullName: string, packageName: string): string {
  return fullName
    .slice(packageName.length + 1)
    .split(".")
    .map(upperFirst)
    .join("_");
}

/** The generated module of a package: its name, but `healthpb` for the one that is not etcd's. */
export function moduleName(packageName: string): string {
  return packageName === "grpc.health.v1" ? "healthpb" : packageName;
}

/** Variables that generated functions use for themselves. */
const reserved: ReadonlySet<string> = new Set([
  "at",
  "bytes",
  "cursor",
  "depth",
  "end",
  "fields",
  "item",
  "length",
  "merged",
  "member",
  "message",
  "offset",
  "packedEnd",
  "pos",
  "repeated",
  "seen",
  "size",
  "start",
  "tag",
  "target",
  "twice",
]);

/** The variable for a property in generated functions. */
export function localName(property: string): string {
  return reserved.has(property) ? `${property}Value` : property;
}
