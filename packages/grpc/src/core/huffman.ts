/**
 * The fixed Huffman code of HPACK. The code is canonical: codes are numbered by length, then by symbol, so that the
 * lengths below are the whole table. Source: RFC 7541 appendix B.
 */
import { assert } from "./assert.js";

/** Code length in bits of the symbols 0..255 and of EOS (256). */
// biome-ignore format: a table reads better in rows of 32.
const codeLengths: readonly number[] = [
  13,23,28,28,28,28,28,28,28,24,30,28,28,30,28,28,28,28,28,28,28,28,30,28,28,28,28,28,28,28,28,28,
  6,10,10,12,13,6,8,11,10,10,8,11,8,6,6,6,5,5,5,6,6,6,6,6,6,6,7,8,15,6,12,10,
  13,6,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,8,7,8,13,19,13,14,6,
  15,5,6,5,6,5,6,6,6,5,7,7,6,6,6,5,6,7,6,5,5,6,7,7,7,7,7,15,11,14,13,28,
  20,22,20,20,22,22,22,23,22,23,23,23,23,23,24,23,24,24,22,23,24,23,23,23,23,21,22,23,22,23,23,24,
  22,21,20,22,22,23,23,21,23,22,22,24,21,22,23,23,21,21,22,21,23,22,23,23,20,22,22,22,23,22,22,23,
  26,26,20,19,22,23,22,25,26,26,26,27,27,26,24,25,19,21,26,27,27,26,27,24,21,21,26,26,28,27,27,27,
  20,24,20,21,22,21,21,23,22,22,25,25,24,24,26,23,26,27,26,26,27,27,27,27,27,28,27,27,27,27,27,26,
  30,
];
const endOfString = 256;

/*
 * The decoder walks the code tree four bits at a time. A state is an inner node of the tree; a step yields the next
 * state and at most one symbol, since no code is shorter than five bits.
 */
const stateCount = 256;
const noSymbol = 0x100;
const failed = 0x200;
/** `steps[state * 16 + nibble]` = next state << 16 | symbol, noSymbol or failed. */
const steps: Int32Array = new Int32Array(stateCount * 16);
/** 1 for the states in which a string may end: the bits since the last symbol are at most seven, all ones. */
const mayEnd: Uint8Array = new Uint8Array(stateCount);

function buildTables(): void {
  // Tree nodes: children[node * 2 + bit] is an inner node, or -1 - symbol; 0 is not yet known (the root is no child).
  const children = new Int32Array(stateCount * 2 + 2);
  let nodeCount = 1;
  const symbols = codeLengths.map((_, symbol) => symbol);
  symbols.sort((a, b) => (codeLengths[a] as number) - (codeLengths[b] as number) || a - b);
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    const bits = codeLengths[symbol] as number;
    code *= 2 ** (bits - length);
    length = bits;
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const at = node * 2 + (Math.floor(code / 2 ** bit) & 1);
      if (children[at] === 0) children[at] = nodeCount++;
      node = children[at] as number;
    }
    children[node * 2 + (code & 1)] = -1 - symbol;
    code++;
  }
  assert(nodeCount === stateCount, "the code is complete: 257 leaves have 256 inner nodes");

  for (let state = 0; state < stateCount; state++) {
    for (let nibble = 0; nibble < 16; nibble++) steps[state * 16 + nibble] = walk(children, state, nibble);
  }
  let node = 0;
  for (let depth = 0; depth <= 7; depth++) {
    mayEnd[node] = 1;
    node = children[node * 2 + 1] as number;
  }
}

function walk(children: Int32Array, state: number, nibble: number): number {
  let node = state;
  let symbol = noSymbol;
  for (let bit = 3; bit >= 0; bit--) {
    const child = children[node * 2 + ((nibble >> bit) & 1)] as number;
    if (child >= 0) {
      node = child;
      continue;
    }
    if (-1 - child === endOfString) return failed;
    symbol = -1 - child;
    node = 0;
  }
  return (node << 16) | symbol;
}

buildTables();

/**
 * Decodes `bytes[start..end)` into `target` from 0 and returns the length; -1 when the code is wrong (EOS inside,
 * padding too long or not of ones) and -2 when the target is too small.
 */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (length + 2 > target.length) return -2;
    let step = steps[state * 16 + (byte >> 4)] as number;
    if ((step & 0xffff) < noSymbol) target[length++] = step;
    else if ((step & failed) !== 0) return -1;
    step = steps[(step >> 16) * 16 + (byte & 15)] as number;
    if ((step & 0xffff) < noSymbol) target[length++] = step;
    else if ((step & failed) !== 0) return -1;
    state = step >> 16;
  }
  return mayEnd[state] === 1 ? length : -1;
}
