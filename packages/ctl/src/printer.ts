/** The five output formats. Source: etcd etcdctl/ctlv3/command/printer*.go, by their output. */

import { type JsonCodec, toJson } from "@etcd-ts/api";
import type { ResponseHeader } from "@etcd-ts/api/etcdserverpb";
import type { KeyValue } from "@etcd-ts/api/mvccpb";
import Table from "cli-table3";
import { CtlError, ExitCode } from "./exit.js";
import { hexEscaped, hexId, quote } from "./go-text.js";

export const formats = ["fields", "json", "protobuf", "simple", "table"] as const;
export type Format = (typeof formats)[number];

/** An answer in the formats it can be printed in. */
export interface Printable {
  readonly simple?: () => string | Uint8Array;
  readonly fields?: () => string;
  readonly json?: () => string;
  readonly protobuf?: () => Uint8Array;
  readonly table?: () => string;
}

/** What of a codec the printers use. */
export interface PrintCodec<M> extends JsonCodec<M> {
  readonly size: (message: M) => number;
  readonly encode: (message: M, target: Uint8Array, offset: number) => number;
}

export class Printer {
  readonly format: Format;
  readonly hex: boolean;
  readonly #out: (text: string | Uint8Array) => void;

  constructor(format: Format, hex: boolean, out: (text: string | Uint8Array) => void) {
    this.format = format;
    this.hex = hex;
    this.#out = out;
  }

  /** Throws the exit of an unsupported format. */
  print(printable: Printable): void {
    const render = printable[this.format];
    if (render === undefined) throw new CtlError(ExitCode.badFeature, `${this.format} not supported as output format`);
    this.#out(render());
  }

  /** An answer that is plain protobuf: JSON and protobuf need no more than its codec. */
  message<M extends object>(
    codec: PrintCodec<M>,
    message: M,
    rest: Pick<Printable, "simple" | "fields" | "table">,
  ): void {
    this.print({ json: () => jsonLine(codec, message), protobuf: () => encoded(codec, message), ...rest });
  }

  /** A key or value. */
  bytes(bytes: Uint8Array): string {
    return this.hex ? hexEscaped(bytes) : Buffer.from(bytes).toString("latin1");
  }

  /** `"Name" : id` as fields print ids. */
  id(id: bigint): string {
    return this.hex ? hexId(id) : String(id);
  }

  header(header: ResponseHeader): string {
    const { clusterId, memberId, revision, raftTerm } = header;
    return [
      `"ClusterID" : ${this.id(clusterId)}\n"MemberID" : ${this.id(memberId)}\n`,
      revision > 0 ? `"Revision" : ${revision}\n` : "",
      `"RaftTerm" : ${raftTerm}\n`,
    ].join("");
  }

  /** A pair's fields, each name behind `prefix`. */
  pairFields(prefix: string, kv: KeyValue): string {
    const lease = this.hex ? hexId(kv.lease).padStart(16, "0") : String(kv.lease);
    return [
      `"${prefix}Key" : ${quote(kv.key)}\n`,
      `"${prefix}CreateRevision" : ${kv.createRevision}\n`,
      `"${prefix}ModRevision" : ${kv.modRevision}\n`,
      `"${prefix}Version" : ${kv.version}\n`,
      `"${prefix}Value" : ${quote(kv.value)}\n`,
      `"${prefix}Lease" : ${lease}\n`,
    ].join("");
  }

  /** A pair as two lines, or its value alone. */
  pair(kv: KeyValue, valueOnly = false): Uint8Array {
    const lines = valueOnly ? [kv.value] : [kv.key, kv.value];
    return Buffer.from(lines.map((bytes) => `${this.bytes(bytes)}\n`).join(""), "latin1");
  }
}

export function jsonLine<M extends object>(codec: JsonCodec<M>, message: M): string {
  return `${toJson(codec, message, "go")}\n`;
}

export function encoded<M>(codec: PrintCodec<M>, message: M): Uint8Array {
  const bytes = new Uint8Array(codec.size(message));
  codec.encode(message, bytes, 0);
  return bytes;
}

/** The members of a header without the braces, for answers that Go's client flattens. */
export function headerMembers(codec: JsonCodec<ResponseHeader>, header: ResponseHeader): string {
  return toJson(codec, header, "go").slice(1, -1);
}

/** A table with upper-case heads in the middle, cells to the right, and a line below the heads only. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = (text: string) => ({ content: text.toUpperCase().replaceAll("_", " "), hAlign: "center" as const });
  const result = new Table({ colAligns: heads.map(() => "right"), style: { border: [] } });
  result.push(heads.map(head), ...rows.map((row) => [...row]));
  const lines = result.toString().split("\n");
  const headLines = 3;
  return `${lines.filter((line, i) => i < headLines || !line.startsWith("├")).join("\n")}\n`;
}
