/** The version this server reports and speaks. Source: etcd api/version/version.go at 3.7.3. */

export const serverVersion = "3.7.3";
/** Lowest version of a cluster this server can be a member of. */
export const minClusterVersion = "3.0.0";

/** `X.Y.0` of a version `X.Y.Z`. */
export function clusterVersionOf(version: string): string {
  const [major = "0", minor = "0"] = version.split(".");
  return `${major}.${minor}.0`;
}

/** Whether version `a` belongs to an older line `X.Y` than `b`. */
export function isOlderLine(a: string, b: string): boolean {
  const [aMajor, aMinor] = lineOf(a);
  const [bMajor, bMinor] = lineOf(b);
  return aMajor < bMajor || (aMajor === bMajor && aMinor < bMinor);
}

function lineOf(version: string): readonly [major: number, minor: number] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return [major, minor];
}
