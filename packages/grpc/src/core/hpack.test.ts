import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HpackDecoder } from "./hpack-decoder.js";
import { encodeHeaderBlock } from "./hpack-encoder.js";
import { huffmanDecode } from "./huffman.js";
import { latin1String } from "./text.js";

const limits = { tableBytesMax: 4096, listBytesMax: 16_384, pairsMax: 100 };

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll(" ", "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function decode(decoder: HpackDecoder, bytes: Uint8Array): string[] | undefined {
  return decoder.decode(bytes, 0, bytes.length)?.fields.map(({ name, value }) => `${name}: ${value}`);
}

describe("HPACK decoder", () => {
  it("reads the request examples without Huffman coding (RFC 7541 C.3)", () => {
    const decoder = new HpackDecoder(limits);
    expect(decode(decoder, hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"))).toEqual([
      ":method: GET",
      ":scheme: http",
      ":path: /",
      ":authority: www.example.com",
    ]);
    expect(decode(decoder, hex("8286 84be 5808 6e6f 2d63 6163 6865"))).toContain("cache-control: no-cache");
    expect(decode(decoder, hex("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"))).toEqual([
      ":method: GET",
      ":scheme: https",
      ":path: /index.html",
      ":authority: www.example.com",
      "custom-key: custom-value",
    ]);
  });

  it("reads the response examples with Huffman coding and eviction (RFC 7541 C.6)", () => {
    const decoder = new HpackDecoder({ ...limits, tableBytesMax: 256 });
    const first =
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    expect(decode(decoder, hex(first))).toEqual([
      ":status: 302",
      "cache-control: private",
      "date: Mon, 21 Oct 2013 20:13:21 GMT",
      "location: https://www.example.com",
    ]);
    expect(decode(decoder, hex("4883 640e ffc1 c0bf"))?.[0]).toBe(":status: 307");
    const third =
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    expect(decode(decoder, hex(third))).toEqual([
      ":status: 200",
      "cache-control: private",
      "date: Mon, 21 Oct 2013 20:13:22 GMT",
      "location: https://www.example.com",
      "content-encoding: gzip",
      "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ]);
  });

  it("finds a repeated block by its bytes, until the table that it refers to changes", () => {
    const decoder = new HpackDecoder(limits);
    const indexed = hex("be");
    decode(decoder, hex("4001 6101 31"));
    const first = decoder.decode(indexed, 0, 1);
    expect(decoder.decode(indexed, 0, 1)).toBe(first);
    decode(decoder, hex("4001 6201 32"));
    expect(decode(decoder, indexed)).toEqual(["b: 2"]);
    const literal = encodeHeaderBlock([{ name: "x", value: "y" }]);
    const kept = decoder.decode(literal, 0, literal.length);
    decode(decoder, hex("4001 6301 33"));
    expect(decoder.decode(literal, 0, literal.length)).toBe(kept);
  });

  it("reads a block that adds to the table anew each time", () => {
    const decoder = new HpackDecoder(limits);
    const adding = hex("4001 6101 31");
    for (let i = 0; i < 3; i++) expect(decode(decoder, adding)).toEqual(["a: 1"]);
    expect(decode(decoder, hex("c0"))).toEqual(["a: 1"]);
    expect(decode(decoder, hex("c1"))).toBeUndefined();
  });

  it.each([
    ["index 0", "80"],
    ["an index beyond both tables", "be"],
    ["a length beyond the block", "4001 6105 31"],
    ["an integer without an end", "ff80 8080 8080 8080"],
    ["a table larger than allowed", "3fe2 1f"],
    ["a table update behind a field", "8220"],
    ["Huffman padding of zeros", "0001 6181 00"],
    ["Huffman padding of eight ones", "0001 6182 07ff"],
    ["the Huffman code of the end", "0001 6184 ffff ffff"],
    ["a name without a value", "0001 61"],
  ])("refuses %s", (_name, bytes) => {
    expect(decode(new HpackDecoder(limits), hex(bytes))).toBeUndefined();
  });

  it("keeps only the beginning of a list that is too long, and its table in step", () => {
    const decoder = new HpackDecoder({ ...limits, pairsMax: 2 });
    const bytes = hex("4001 6101 31 4001 6201 32 4001 6301 33");
    const block = decoder.decode(bytes, 0, bytes.length);
    expect(block).toMatchObject({ truncated: true, fields: [{ name: "a" }, { name: "b" }] });
    expect(decode(decoder, hex("be"))).toEqual(["c: 3"]);
  });

  it("does not let a block that refers to one large field often cost memory", () => {
    const decoder = new HpackDecoder(limits);
    const large = new Uint8Array(6 + 3000).fill(0x78);
    large.set(hex("4001 61 7f b916"));
    expect(decode(decoder, large)?.[0]).toHaveLength(3003);
    const repeated = new Uint8Array(20).fill(0xbe);
    const block = decoder.decode(repeated, 0, repeated.length);
    expect(block?.truncated).toBe(true);
    expect(block?.fields).toHaveLength(5);
    const bomb = new Uint8Array(16_000).fill(0xbe);
    expect(decoder.decode(bomb, 0, bomb.length)).toBeUndefined();
  });

  it("reads what the encoder writes", () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
      maxLength: 300,
    });
    const field = fc.record({ name: text, value: text });
    fc.assert(
      fc.property(fc.array(field, { maxLength: 20 }), (fields) => {
        const bytes = encodeHeaderBlock(fields);
        const decoder = new HpackDecoder({ ...limits, listBytesMax: 1e9 });
        expect(decoder.decode(bytes, 0, bytes.length)?.fields).toEqual(fields);
      }),
    );
  });

  it("survives any bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder(limits);
        for (const bytes of blocks) if (decoder.decode(bytes, 0, bytes.length) === undefined) break;
      }),
      { numRuns: 500 },
    );
  });
});

describe("Huffman code", () => {
  it("says when the target is too small", () => {
    expect(huffmanDecode(hex("f1e3 c2e5 f23a 6ba0 ab90 f4ff"), 0, 12, new Uint8Array(4))).toBe(-2);
  });

  it("reads www.example.com (RFC 7541 C.4.1)", () => {
    const target = new Uint8Array(32);
    const length = huffmanDecode(hex("f1e3 c2e5 f23a 6ba0 ab90 f4ff"), 0, 12, target);
    expect(latin1String(target, 0, length)).toBe("www.example.com");
  });
});
