/** A line split into words as a shell would, for the commands that read commands. Source: etcdctl's `Argify`. */

const pattern = /"(?:[^"\\]|\\.)*"|'[^']*'|\S+/g;

/** Quoted words lose their quotes; within double quotes a backslash escapes. */
export function splitWords(line: string): string[] {
  return Array.from(line.matchAll(pattern), ([word]) => unquoted(word));
}

function unquoted(word: string): string {
  if (word.length < 2) return word;
  if (word.startsWith("'") && word.endsWith("'")) return word.slice(1, -1);
  if (!word.startsWith('"') || !word.endsWith('"')) return word;
  return word.slice(1, -1).replace(/\\(.)/g, (_all, character: string) => escaped[character] ?? character);
}

const escaped: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
