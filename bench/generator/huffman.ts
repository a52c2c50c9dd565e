/**
 * HPACK's Huffman code, decoding only. The code is canonical: codes of one length are consecutive and in symbol order,
 * so the lengths alone define it.
 *
 * Source: RFC 7541 appendix B.
 */

const symbolCount = 257;
const endOfString = 256;

/** Code lengths in bits, as runs of `length × count`, for symbols 0 to 256. */
const runs =
  "13 23 28x7 24 30 28x2 30 28x8 30 28x9 6 10x2 12 13 6 8 11 10x2 8 11 8 6x3 5x3 6x7 7 8 15 6 12 10 13 6 7x22 8 7 8 13 " +
  "19 13 14 6 15 5 6 5 6 5 6x3 5 7x2 6x3 5 6 7 6 5x2 6 7x5 15 11 14 13 28 20 22 20x2 22x3 23 22 23x5 24 23 24x2 22 23 24 " +
  "23x4 21 22 23 22 23x2 24 22 21 20 22x2 23x2 21 23 22x2 24 21 22 23x2 21x2 22 21 23 22 23x2 20 22x3 23 22x2 23 26x2 20 " +
  "19 22 23 22 25 26x3 27x2 26 24 25 19 21 26 27x2 26 27 24 21x2 26x2 28 27x3 20 24 20 21 22 21x2 23 22x2 25x2 24x2 26 " +
  "23 26 27 26x2 27x5 28 27x5 26 30";

/** One binary tree in an array: node n has children at 2n and 2n+1; a negative entry is −1 − symbol. */
const tree = buildTree(codeLengths());

/** Decodes `bytes[start, end)` to latin1. Throws on padding that is not the end-of-string code's prefix. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let node = 0;
  let bitsOfPartial = 0;
  let partialIsOnes = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    for (let bit = 7; bit >= 0; bit--) {
      const one = (byte >> bit) & 1;
      const next = tree[2 * node + one] ?? 0;
      bitsOfPartial++;
      partialIsOnes &&= one === 1;
      if (next >= 0) {
        node = next;
        continue;
      }
      const symbol = -1 - next;
      if (symbol === endOfString) {
        throw new Error("a Huffman string contains the end-of-string symbol");
      }
      text += String.fromCharCode(symbol);
      node = 0;
      bitsOfPartial = 0;
      partialIsOnes = true;
    }
  }
  if (bitsOfPartial > 7 || !partialIsOnes) {
    throw new Error("a Huffman string is not padded with ones");
  }
  return text;
}

/** Exported for the test that checks the code is complete. */
export function codeLengths(): readonly number[] {
  const lengths: number[] = [];
  for (const run of runs.split(" ")) {
    const [length, count] = run.split("x").map(Number);
    for (let i = 0; i < (count ?? 1); i++) {
      lengths.push(length ?? 0);
    }
  }
  if (lengths.length !== symbolCount) {
    throw new Error(`${lengths.length} code lengths`);
  }
  return lengths;
}

function buildTree(lengths: readonly number[]): Int16Array {
  const nodes = new Int16Array(2 * symbolCount);
  let used = 1;
  let code = 0;
  let previousLength = 0;
  const order = lengths.map((length, symbol) => ({ length, symbol }));
  order.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  for (const { length, symbol } of order) {
    code *= 2 ** (length - previousLength);
    previousLength = length;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const slot = 2 * node + (Math.floor(code / 2 ** bit) % 2);
      if (bit === 0) {
        nodes[slot] = -1 - symbol;
      } else {
        if (nodes[slot] === 0) {
          nodes[slot] = used++;
        }
        node = nodes[slot] ?? 0;
      }
    }
    code++;
  }
  return nodes;
}
