import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyChunk } from "./key-chunk.js";
import { PagedList } from "./paged-list.js";

const capacity = 16;

function made(): { chunk: KeyChunk; add: (key: string) => void; keys: () => string[]; list: PagedList<string> } {
  const list = new PagedList<string>();
  const chunk = new KeyChunk(0, list, capacity);
  const add = (key: string): void => {
    list.push(key);
    chunk.insert(chunk.lowerBound(key), list.length - 1);
  };
  const keys = (): string[] => Array.from({ length: chunk.length }, (_, at) => chunk.key(at));
  return { chunk, add, keys, list };
}

/** Few characters, the lowest and the highest among them, so that keys begin alike and are prefixes of each other. */
const keyArbitrary = fc
  .array(fc.constantFrom("\0", "a", "b", "\x7f", "\x80", "\xff"), { maxLength: 8 })
  .map((characters) => characters.join(""));

test("keys are found where the order of strings puts them, whatever came, went and was split off", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(keyArbitrary, { minLength: 1, maxLength: capacity }),
      fc.array(keyArbitrary),
      fc.nat(),
      fc.nat(),
      (inserted, probes, removedAt, splitAt) => {
        const { chunk, add, keys, list } = made();
        const expected = [...inserted].sort();
        const check = (): void => {
          chunk.validate();
          expect(keys()).toEqual(expected);
          for (const probe of [...probes, ...inserted, ""]) {
            const bound = expected.findIndex((key) => key >= probe);
            expect(chunk.lowerBound(probe)).toBe(bound < 0 ? expected.length : bound);
          }
        };
        for (const key of inserted) add(key);
        check();
        if (inserted.length === 1) return;
        expected.splice(removedAt % inserted.length, 1);
        chunk.remove(removedAt % inserted.length);
        check();
        const at = 1 + (splitAt % expected.length);
        const right = new KeyChunk(1, list, capacity);
        if (at < expected.length) {
          right.append(chunk.splitOff(at));
          right.validate();
        }
        const moved = expected.splice(at);
        check();
        if (moved.length > 0) chunk.append(right.splitOff(0));
        expected.push(...moved);
        check();
      },
    ),
  );
});

test("keys that begin alike for longer than is looked at are told apart", () => {
  const { add, keys, chunk } = made();
  const long = "x".repeat(5000);
  for (const end of ["b", "c", "a", ""]) add(long + end);
  expect(keys()).toEqual(["", "a", "b", "c"].map((end) => long + end));
  expect(chunk.lowerBound(`${long}bb`)).toBe(3);
  expect(chunk.lowerBound("x")).toBe(0);
  expect(chunk.lowerBound("y")).toBe(4);
});
