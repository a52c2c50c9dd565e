/** Names of the files in a WAL directory. Source: etcd server/storage/wal/util.go. */

/** A segment: its place in the log and the raft index of the first entry expected in it. */
export interface SegmentName {
  readonly name: string;
  readonly sequence: number;
  readonly index: number;
}

export function segmentName(sequence: number, index: number): string {
  return `${hex16(sequence)}-${hex16(index)}.wal`;
}

export function parseSegmentName(name: string): SegmentName | undefined {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/.exec(name);
  const sequence = Number.parseInt(match?.[1] ?? "", 16);
  const index = Number.parseInt(match?.[2] ?? "", 16);
  return Number.isSafeInteger(sequence) && Number.isSafeInteger(index) ? { name, sequence, index } : undefined;
}

/** The segments among the names of a directory, in order. Other names are ignored. */
export function segmentsAmong(names: readonly string[]): readonly SegmentName[] {
  return names.flatMap((name) => parseSegmentName(name) ?? []).sort((a, b) => a.sequence - b.sequence);
}

/** A preallocated segment that has no place in the log yet. */
export function isSpareName(name: string): boolean {
  return /^\d+\.tmp$/.test(name);
}

export function joinPath(directory: string, name: string): string {
  return `${directory}/${name}`;
}

function hex16(value: number): string {
  return value.toString(16).padStart(16, "0");
}
