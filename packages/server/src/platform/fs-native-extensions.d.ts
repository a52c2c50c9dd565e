/** What we use of `fs-native-extensions`, which ships no types. */
declare module "fs-native-extensions" {
  /** Takes an exclusive open file description lock; false when another open of the file holds one. */
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
}
