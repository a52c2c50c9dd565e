/** The result of reading text from outside: a value, or what is wrong with the text. */
export type Parsed<Value> =
  | { readonly kind: "ok"; readonly value: Value }
  | { readonly kind: "refused"; readonly error: string };

export function accepted<Value>(value: Value): Parsed<Value> {
  return { kind: "ok", value };
}

export function refused(error: string): { readonly kind: "refused"; readonly error: string } {
  return { kind: "refused", error };
}
