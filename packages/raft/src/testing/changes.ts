import { type ConfChangeSingle, ConfChangeType } from "../conf-change.js";

const types: Readonly<Record<string, ConfChangeType>> = {
  v: ConfChangeType.addNode,
  l: ConfChangeType.addLearnerNode,
  r: ConfChangeType.removeNode,
  u: ConfChangeType.updateNode,
};

/** Reads changes such as `v1 l2 r3 u4`; a string says why they cannot be read. */
export function parseChanges(text: string): ConfChangeSingle[] | string {
  const changes: ConfChangeSingle[] = [];
  for (const token of text.split(/\s+/).filter((one) => one !== "")) {
    if (token.length < 2) return `unknown token ${token}`;
    const type = types[token.charAt(0)];
    if (type === undefined || !/^\d+$/.test(token.slice(1))) return `unknown input: ${token}`;
    changes.push({ type, nodeId: BigInt(token.slice(1)) });
  }
  return changes;
}
