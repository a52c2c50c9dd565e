/** What the emitters need to know of the .proto files, with all decisions about types already taken. */

import {
  type DescComments,
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence, FieldOptions_JSType } from "@bufbuild/protobuf/wkt";
import { getComments } from "@bufbuild/protoplugin";
import { camelCase, localName, moduleName, typeName, upperFirst } from "./names.js";

/** The scalar types etcd's messages use; the generator refuses others. */
export type Kind = "bool" | "string" | "bytes" | "uint32" | "int64" | "uint64" | "enum" | "message";

export interface TypeRef {
  readonly module: string;
  readonly name: string;
  readonly fullName: string;
}

export interface FieldModel {
  readonly protoName: string;
  readonly jsonName: string;
  readonly property: string;
  /** Name of the variable that holds it in generated functions. */
  readonly local: string;
  readonly number: number;
  readonly kind: Kind;
  readonly repeated: boolean;
  /** A list of numbers written as one field. */
  readonly packed: boolean;
  /** 64-bit values are held in a bigint. */
  readonly exact: boolean;
  /** Absent is told from empty or zero: messages, members of a oneof, proto2 bytes. */
  readonly presence: boolean;
  /** A proto2 scalar without presence that is written also when zero. */
  readonly alwaysWritten: boolean;
  readonly type: TypeRef | undefined;
  /** First value of an enum. */
  readonly enumDefault: number;
  readonly comment: string;
}

export interface OneofModel {
  readonly property: string;
  readonly local: string;
  readonly typeName: string;
  readonly fields: readonly FieldModel[];
}

/** Fields of a message in the order of the .proto file, a oneof at its first member's place. */
export type Member =
  | { readonly kind: "field"; readonly field: FieldModel }
  | { readonly kind: "oneof"; readonly oneof: OneofModel };

export interface MessageModel extends TypeRef {
  readonly members: readonly Member[];
  readonly comment: string;
  /** Reached from itself. */
  recursive: boolean;
  /** Always shorter than 128 bytes. */
  small: boolean;
  /** Also gets a decoder that leaves byte fields where they are. */
  readonly spans: boolean;
}

export interface EnumModel extends TypeRef {
  readonly values: readonly { readonly name: string; readonly number: number; readonly comment: string }[];
  readonly comment: string;
}

export interface MethodModel {
  readonly name: string;
  readonly property: string;
  readonly path: string;
  readonly request: TypeRef;
  readonly response: TypeRef;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  readonly httpPost: readonly string[];
  readonly comment: string;
}

export interface ServiceModel {
  readonly fullName: string;
  readonly property: string;
  readonly methods: readonly MethodModel[];
  readonly comment: string;
}

export interface ModuleModel {
  readonly name: string;
  readonly messages: readonly MessageModel[];
  readonly enums: readonly EnumModel[];
}

export interface Model {
  readonly modules: readonly ModuleModel[];
  readonly services: readonly ServiceModel[];
}

/** Our options, declared in etcdts/options.proto. */
interface Options {
  readonly alwaysWritten: DescExtension;
  readonly httpPost: DescExtension;
  readonly spans: DescExtension;
}

export function buildModel(files: readonly DescFile[]): Model {
  const options = findOptions(files);
  const modules = new Map<string, { name: string; messages: MessageModel[]; enums: EnumModel[] }>();
  const services: ServiceModel[] = [];
  for (const file of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (file.proto.package === "google.protobuf" || file.proto.package === "etcdts") continue;
    const name = moduleName(file.proto.package);
    const module = modules.get(name) ?? { name, messages: [], enums: [] };
    modules.set(name, module);
    module.enums.push(...file.enums.map(buildEnum));
    for (const message of file.messages) addMessage(message, module, options);
    for (const service of file.services) services.push(buildService(service, options));
  }
  const all = new Map([...modules.values()].flatMap((m) => m.messages).map((m) => [m.fullName, m]));
  for (const message of all.values()) message.recursive = reaches(message, message.fullName, all, new Set());
  for (const message of all.values()) message.small = maxSize(message, all) < 128;
  return { modules: [...modules.values()], services };
}

function findOptions(files: readonly DescFile[]): Options {
  const extensions = files.flatMap((file) => file.extensions);
  const find = (name: string): DescExtension => {
    const found = extensions.find((extension) => extension.typeName === `etcdts.${name}`);
    if (found === undefined) throw new Error(`etcdts/options.proto lacks ${name}`);
    return found;
  };
  return { alwaysWritten: find("always_written"), httpPost: find("http_post"), spans: find("spans") };
}

function addMessage(
  desc: DescMessage,
  module: { messages: MessageModel[]; enums: EnumModel[] },
  options: Options,
): void {
  module.enums.push(...desc.nestedEnums.map(buildEnum));
  for (const nested of desc.nestedMessages) addMessage(nested, module, options);
  const members = desc.members.map((member): Member => {
    if (member.kind === "field") return { kind: "field", field: buildField(member, options) };
    const oneof: OneofModel = {
      property: camelCase(member.name),
      local: localName(camelCase(member.name)),
      typeName: `${reference(desc).name}_${upperFirst(camelCase(member.name))}`,
      fields: member.fields.map((field) => buildField(field, options)),
    };
    return { kind: "oneof", oneof };
  });
  module.messages.push({
    ...reference(desc),
    members,
    comment: commentOf(getComments(desc)),
    recursive: false,
    small: false,
    spans: hasOption(desc, options.spans),
  });
}

function buildField(desc: DescField, options: Options): FieldModel {
  if (desc.fieldKind === "map") throw new Error(`${desc.toString()}: declare maps as repeated entries`);
  const repeated = desc.fieldKind === "list";
  const kind = kindOf(desc);
  const explicit = desc.presence === FeatureSet_FieldPresence.EXPLICIT;
  const enumDesc = desc.enum;
  return {
    protoName: desc.name,
    jsonName: desc.jsonName,
    property: camelCase(desc.name),
    local: localName(camelCase(desc.name)),
    number: desc.number,
    kind,
    repeated,
    packed: desc.fieldKind === "list" && desc.packed,
    exact: (kind === "int64" || kind === "uint64") && desc.proto.options?.jstype !== FieldOptions_JSType.JS_NUMBER,
    presence: !repeated && (kind === "message" || desc.oneof !== undefined || (explicit && kind === "bytes")),
    alwaysWritten: hasOption(desc, options.alwaysWritten),
    type: desc.message ? reference(desc.message) : enumDesc ? reference(enumDesc) : undefined,
    enumDefault: enumDesc?.values[0]?.number ?? 0,
    comment: commentOf(getComments(desc)),
  };
}

function kindOf(desc: DescField): Kind {
  if (desc.message !== undefined) return "message";
  if (desc.enum !== undefined) return "enum";
  switch (desc.scalar) {
    case ScalarType.BOOL:
      return "bool";
    case ScalarType.STRING:
      return "string";
    case ScalarType.BYTES:
      return "bytes";
    case ScalarType.UINT32:
      return "uint32";
    case ScalarType.INT64:
      return "int64";
    case ScalarType.UINT64:
      return "uint64";
    default:
      throw new Error(`${desc.toString()}: type not supported`);
  }
}

function buildEnum(desc: DescEnum): EnumModel {
  return {
    ...reference(desc),
    values: desc.values.map((v) => ({ name: v.name, number: v.number, comment: commentOf(getComments(v)) })),
    comment: commentOf(getComments(desc)),
  };
}

function buildService(desc: DescService, options: Options): ServiceModel {
  return {
    fullName: desc.typeName,
    property: camelCase(desc.name),
    comment: commentOf(getComments(desc)),
    methods: desc.methods.map((method) => ({
      name: method.name,
      property: camelCase(method.name),
      path: `/${desc.typeName}/${method.name}`,
      request: reference(method.input),
      response: reference(method.output),
      clientStreaming: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      serverStreaming: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      httpPost: getOption(method, options.httpPost) as string[],
      comment: commentOf(getComments(method)),
    })),
  };
}

function reference(desc: DescMessage | DescEnum): TypeRef {
  const packageName = desc.file.proto.package;
  return {
    module: moduleName(packageName),
    name: typeName(desc.typeName, packageName),
    fullName: desc.typeName,
  };
}

function commentOf(comments: DescComments): string {
  return (comments.leading ?? "")
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
}

export function fieldsOf(message: MessageModel): readonly FieldModel[] {
  return message.members.flatMap((member) => (member.kind === "field" ? [member.field] : member.oneof.fields));
}

/** Whether a value of `from` may contain one of type `goal`. */
function reaches(from: MessageModel, goal: string, all: Map<string, MessageModel>, seen: Set<string>): boolean {
  return fieldsOf(from).some((field) => {
    if (field.kind !== "message" || field.type === undefined) return false;
    if (field.type.fullName === goal) return true;
    if (seen.has(field.type.fullName)) return false;
    seen.add(field.type.fullName);
    const next = all.get(field.type.fullName);
    return next !== undefined && reaches(next, goal, all, seen);
  });
}

/** Bytes a message takes at most; Infinity when it holds text, bytes or lists. */
function maxSize(message: MessageModel, all: Map<string, MessageModel>): number {
  if (message.recursive) return Number.POSITIVE_INFINITY;
  return fieldsOf(message).reduce((sum, field) => sum + maxFieldSize(field, all), 0);
}

function maxFieldSize(field: FieldModel, all: Map<string, MessageModel>): number {
  if (field.repeated || field.kind === "bytes" || field.kind === "string") return Number.POSITIVE_INFINITY;
  const tagSize = tagBytes(field.number, 0).length;
  if (field.kind !== "message") return tagSize + 10;
  const type = field.type && all.get(field.type.fullName);
  return type === undefined ? Number.POSITIVE_INFINITY : tagSize + 1 + maxSize(type, all);
}

/** A field's tag as it stands on the wire. */
export function tagBytes(number: number, wireType: number): readonly number[] {
  const bytes: number[] = [];
  let rest = number * 8 + wireType;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 0x80);
  bytes.push(rest);
  return bytes;
}
