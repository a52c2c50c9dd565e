/**
 * JSON in which integers keep all their digits: member and cluster ids are 64-bit numbers written as bare digits, which
 * `JSON.parse` would round. Strings are written as Go's encoder writes them, so that rows of the database are the bytes
 * a Go member would have stored.
 *
 * The reader accepts RFC 8259 with a bounded depth; an integer becomes a bigint, any other number a number.
 */

export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined;
}

/** What the reader met that is not JSON, and where. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
}

const depthMax = 32;
/** Digits of a 64-bit number, its sign included, with room to spare: a longer integer is refused, not computed. */
const integerDigitsMax = 32;

/** Fields whose value is undefined are left out; the others appear in insertion order. */
export function stringifyExact(value: JsonValue): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return quote(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(stringifyExact).join(",")}]`;
  const fields: string[] = [];
  for (const [name, field] of Object.entries(value)) {
    if (field !== undefined) fields.push(`${quote(name)}:${stringifyExact(field)}`);
  }
  return `{${fields.join(",")}}`;
}

/** Throws `JsonSyntaxError`. Of a repeated name the last value wins, as in Go. */
export function parseExact(text: string): JsonValue {
  return new Reader(text).document();
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** `JSON.stringify`, and beyond it the characters Go escapes because JSON is often put inside HTML and scripts. */
function quote(text: string): string {
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

class Reader {
  readonly #text: string;
  #position = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value();
    this.#skipBlanks();
    if (this.#position !== this.#text.length) throw this.#unexpected();
    return value;
  }

  #value(): JsonValue {
    this.#skipBlanks();
    switch (this.#text[this.#position]) {
      case "{":
        return this.#nested(() => this.#object());
      case "[":
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #nested<T>(read: () => T): T {
    this.#depth++;
    if (this.#depth > depthMax) throw new JsonSyntaxError(`nested deeper than ${depthMax} levels`);
    this.#position++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): JsonObject {
    // Without a prototype a field named __proto__ is a field like any other.
    const object: Record<string, JsonValue> = Object.create(null);
    if (this.#skip("}")) return object;
    do {
      this.#skipBlanks();
      const name = this.#string();
      if (!this.#skip(":")) throw this.#unexpected();
      object[name] = this.#value();
    } while (this.#skip(","));
    if (!this.#skip("}")) throw this.#unexpected();
    return object;
  }

  #array(): JsonValue[] {
    const array: JsonValue[] = [];
    if (this.#skip("]")) return array;
    do {
      array.push(this.#value());
    } while (this.#skip(","));
    if (!this.#skip("]")) throw this.#unexpected();
    return array;
  }

  #string(): string {
    const literal = this.#match(/"(?:[^"\\]|\\.)*"/y);
    const value: unknown = parseLiteral(literal);
    if (typeof value !== "string") throw new JsonSyntaxError(`invalid string ${literal}`);
    return value;
  }

  #number(): number | bigint {
    const literal = this.#match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y);
    if (!/^-?[0-9]+$/.test(literal)) return Number(literal);
    if (literal.length > integerDigitsMax) throw new JsonSyntaxError(`number of ${literal.length} digits`);
    return BigInt(literal);
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#position)) throw this.#unexpected();
    this.#position += word.length;
    return value;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#position;
    const literal = pattern.exec(this.#text)?.[0];
    if (literal === undefined) throw this.#unexpected();
    this.#position += literal.length;
    return literal;
  }

  #skip(character: string): boolean {
    this.#skipBlanks();
    if (this.#text[this.#position] !== character) return false;
    this.#position++;
    return true;
  }

  #skipBlanks(): void {
    while (" \t\n\r".includes(this.#text[this.#position] ?? "x")) this.#position++;
  }

  #unexpected(): JsonSyntaxError {
    const character = this.#text[this.#position];
    const what = character === undefined ? "end of text" : JSON.stringify(character);
    return new JsonSyntaxError(`unexpected ${what} at position ${this.#position}`);
  }
}

/** The value of a string literal, undefined for one with a bad escape or a control character. */
function parseLiteral(literal: string): unknown {
  try {
    return JSON.parse(literal);
  } catch {
    return undefined;
  }
}
