/** Text of generated code. */

export function docstring(indent: string, ...paragraphs: readonly string[]): string[] {
  const lines = paragraphs.filter((text) => text !== "").flatMap((text) => text.split("\n"));
  if (lines.length === 0) return [];
  if (lines.length === 1) return [`${indent}/** ${lines[0]} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`), `${indent} */`];
}

export function indent(lines: readonly string[], by: string): string[] {
  return lines.map((line) => (line === "" ? line : by + line));
}
