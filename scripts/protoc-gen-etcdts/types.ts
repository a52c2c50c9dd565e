/** How a field looks in TypeScript. */

import type { FieldModel } from "./model.js";

/** Type of one value of the field. `suffix` chooses between a message (``) and what encoders take (`Init`). */
export function elementType(field: FieldModel, suffix: "" | "Init" | string): string {
  switch (field.kind) {
    case "bool":
      return "boolean";
    case "string":
      return "string";
    case "bytes":
      return "Uint8Array";
    case "uint32":
      return "number";
    case "int64":
    case "uint64":
      return field.exact ? "bigint" : "number";
    case "enum":
      return field.type?.name ?? "number";
    case "message":
      return `${field.type?.name}${suffix}`;
  }
}

export function fieldType(field: FieldModel): string {
  if (field.repeated) return `readonly ${elementType(field, "")}[]`;
  return elementType(field, "") + (field.presence ? " | undefined" : "");
}

/** The value of an absent field. */
export function defaultValue(field: FieldModel): string {
  if (field.presence) return "undefined";
  switch (field.kind) {
    case "bool":
      return "false";
    case "string":
      return '""';
    case "bytes":
      return "emptyBytes";
    case "uint32":
      return "0";
    case "int64":
    case "uint64":
      return field.exact ? "0n" : "0";
    case "enum":
      return String(field.enumDefault);
    case "message":
      return "undefined";
  }
}

export function wireType(field: FieldModel): number {
  return field.kind === "bytes" || field.kind === "string" || field.kind === "message" ? 2 : 0;
}
