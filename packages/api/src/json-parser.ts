/**
 * A JSON parser that keeps what `JSON.parse` loses: the digits of numbers beyond 2^53, where each value stands, and
 * keys that come twice. Bounded in depth; time and memory are linear in the text.
 *
 * Error texts are those of Go's encoding/json, which etcd's gateway sends to its clients.
 *
 * Source: RFC 8259.
 */

/** Containers within containers. Every message etcd has fits many times over. */
export const jsonDepthMax = 32;

/** A value and its place: `start` is the position of its first character. */
export type JsonValue =
  | { readonly kind: "null"; readonly start: number }
  | { readonly kind: "boolean"; readonly start: number; readonly value: boolean }
  /** `text` is the literal as it stands. */
  | { readonly kind: "number"; readonly start: number; readonly text: string }
  | { readonly kind: "string"; readonly start: number; readonly end: number; readonly value: string }
  | { readonly kind: "array"; readonly start: number; readonly items: readonly JsonValue[] }
  | { readonly kind: "object"; readonly start: number; readonly members: readonly JsonMember[] };

export interface JsonMember {
  readonly key: string;
  /** Position of the key's first quote. */
  readonly start: number;
  readonly value: JsonValue;
}

/** Thrown for text that is not JSON, or not the JSON of the expected message. The text goes to the client as it is. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** True for JSON errors of any copy of this package. */
export function isJsonError(error: unknown): error is JsonError {
  return error instanceof Error && error.name === "JsonError";
}

/** Parses the first value of a text; undefined when there is only white space. What follows the value is ignored. */
export function parseJson(text: string, depthMax: number = jsonDepthMax): JsonValue | undefined {
  const parser = new Parser(text, depthMax);
  return parser.atEnd() ? undefined : parser.value(0);
}

class Parser {
  readonly #text: string;
  readonly #depthMax: number;
  #pos = 0;

  constructor(text: string, depthMax: number) {
    this.#text = text;
    this.#depthMax = depthMax;
  }

  atEnd(): boolean {
    this.#skipSpace();
    return this.#pos >= this.#text.length;
  }

  value(depth: number): JsonValue {
    const start = this.#pos;
    const first = this.#text[start];
    switch (first) {
      case "{":
        return this.#object(depth + 1);
      case "[":
        return this.#array(depth + 1);
      case '"': {
        const value = this.#string();
        return { kind: "string", start, end: this.#pos, value };
      }
      case "t":
        this.#literal("true");
        return { kind: "boolean", start, value: true };
      case "f":
        this.#literal("false");
        return { kind: "boolean", start, value: false };
      case "n":
        this.#literal("null");
        return { kind: "null", start };
      default:
        if (first === "-" || isDigit(first)) return this.#number();
        return this.#unexpected("looking for beginning of value");
    }
  }

  #object(depth: number): JsonValue {
    const start = this.#pos++;
    this.#checkDepth(depth);
    const members: JsonMember[] = [];
    this.#skipSpace();
    if (this.#take("}")) return { kind: "object", start, members };
    for (;;) {
      this.#skipSpace();
      const keyStart = this.#pos;
      if (this.#text[keyStart] !== '"') this.#unexpected("looking for beginning of object key string");
      const key = this.#string();
      this.#skipSpace();
      if (!this.#take(":")) this.#unexpected("after object key");
      this.#skipSpace();
      members.push({ key, start: keyStart, value: this.value(depth) });
      this.#skipSpace();
      if (this.#take("}")) return { kind: "object", start, members };
      if (!this.#take(",")) this.#unexpected("after object key:value pair");
    }
  }

  #array(depth: number): JsonValue {
    const start = this.#pos++;
    this.#checkDepth(depth);
    const items: JsonValue[] = [];
    this.#skipSpace();
    if (this.#take("]")) return { kind: "array", start, items };
    for (;;) {
      this.#skipSpace();
      items.push(this.value(depth));
      this.#skipSpace();
      if (this.#take("]")) return { kind: "array", start, items };
      if (!this.#take(",")) this.#unexpected("after array element");
    }
  }

  #checkDepth(depth: number): void {
    if (depth > this.#depthMax) throw new JsonError("exceeded max depth");
  }

  #string(): string {
    const text = this.#text;
    const start = ++this.#pos;
    // Base64 may be megabytes long: no copy character by character where nothing is escaped.
    for (let at = start; ; at++) {
      const unit = text.charCodeAt(at);
      if (unit === quote) {
        this.#pos = at + 1;
        return text.slice(start, at);
      }
      if (unit === backslash || unit < 0x20 || Number.isNaN(unit)) {
        this.#pos = at;
        return this.#escapedString(text.slice(start, at));
      }
    }
  }

  /** The rest of a string from its first escape on. */
  #escapedString(before: string): string {
    const parts: string[] = [before];
    for (;;) {
      const char = this.#text[this.#pos];
      if (char === undefined) throw new JsonError("unexpected EOF");
      if (char < " ") this.#unexpected("in string literal");
      this.#pos++;
      if (char === '"') return parts.join("");
      parts.push(char === "\\" ? this.#escape() : char);
    }
  }

  #escape(): string {
    const char = this.#text[this.#pos];
    if (char === "u") {
      this.#pos++;
      return String.fromCharCode(this.#hex4());
    }
    const plain = char === undefined ? undefined : escapes.get(char);
    if (plain === undefined) this.#unexpected("in string escape code");
    this.#pos++;
    return plain as string;
  }

  #hex4(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const digit = hexDigits.indexOf((this.#text[this.#pos] ?? "").toLowerCase());
      if (digit < 0 || this.#pos >= this.#text.length) this.#unexpected("in \\u hexadecimal character escape");
      value = value * 16 + digit;
      this.#pos++;
    }
    return value;
  }

  #number(): JsonValue {
    const start = this.#pos;
    this.#take("-");
    if (!this.#take("0")) this.#digits("in numeric literal");
    if (this.#take(".")) this.#digits("after decimal point in numeric literal");
    if (this.#take("e") || this.#take("E")) {
      if (!this.#take("+")) this.#take("-");
      this.#digits("in exponent of numeric literal");
    }
    return { kind: "number", start, text: this.#text.slice(start, this.#pos) };
  }

  #digits(where: string): void {
    if (!isDigit(this.#text[this.#pos])) this.#unexpected(where);
    while (isDigit(this.#text[this.#pos])) this.#pos++;
  }

  #literal(word: string): void {
    for (const letter of word) {
      if (!this.#take(letter)) this.#unexpected(`in literal ${word} (expecting '${letter}')`);
    }
  }

  #take(char: string): boolean {
    if (this.#text[this.#pos] !== char) return false;
    this.#pos++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const char = this.#text[this.#pos];
      if (char !== " " && char !== "\n" && char !== "\r" && char !== "\t") return;
      this.#pos++;
    }
  }

  #unexpected(where: string): never {
    const point = this.#text.codePointAt(this.#pos);
    if (point === undefined) throw new JsonError("unexpected EOF");
    throw new JsonError(`invalid character ${quoted(String.fromCodePoint(point))} ${where}`);
  }
}

const quote = 0x22;
const backslash = 0x5c;
const hexDigits = "0123456789abcdef";

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9" && char.length === 1;
}

/** A character as Go's quoteChar shows it. */
function quoted(char: string): string {
  if (char === "'") return "'\\''";
  if (char === '"') return "'\"'";
  return `'${JSON.stringify(char).slice(1, -1).replace("\\u00", "\\x")}'`;
}
