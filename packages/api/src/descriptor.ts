/** What the JSON codec knows of messages: shapes of the tables in gen/descriptors.ts. */

export type FieldKind = "bool" | "string" | "bytes" | "uint32" | "int64" | "uint64" | "enum" | "message";

export interface FieldDescriptor {
  /** Name in the .proto file, which is also etcd's JSON name: `range_end`, `ID`. */
  readonly name: string;
  /** The lowerCamel name protobuf's JSON derives from it; accepted on input. */
  readonly jsonName: string;
  /** Name in generated code: `rangeEnd`, `id`. */
  readonly property: string;
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated?: boolean;
  /** A 64-bit field held in a bigint. */
  readonly exact?: boolean;
  /** Absent is `undefined`, and told from empty or zero. */
  readonly presence?: boolean;
  /** Full name of the enum or message. */
  readonly type?: string;
  /** Property that holds the oneof this field belongs to. */
  readonly oneof?: string;
}

/** Fields in the order of the .proto file. */
export type MessageDescriptor = readonly FieldDescriptor[];

/** Numbers by name. */
export type EnumDescriptor = Readonly<Record<string, number>>;
