/**
 * The border of etcd as data: error table, services, limits, key ranges, checksums and the protobuf and JSON codecs.
 * Messages are in a module for each proto package, e.g. `@etcd-ts/api/etcdserverpb`.
 */

export { decodeBase64, encodeBase64 } from "./base64.js";
export {
  bytesFromLatin1,
  compareBytes,
  concatBytes,
  equalBytes,
  latin1FromBytes,
  writeLatin1,
} from "./bytes.js";
export { crc32c } from "./crc32c.js";
export { DecodeError, type DecodeErrorCode, isDecodeError } from "./decode-error.js";
export type { EnumDescriptor, FieldDescriptor, FieldKind, MessageDescriptor } from "./descriptor.js";
export {
  type ErrorSpec,
  EtcdError,
  errorSpecs,
  etcdError,
  isEtcdError,
  isRetryable,
  type Reason,
  reasonOfMessage,
  reasons,
} from "./errors.js";
export { enumDescriptors, messageDescriptors } from "./gen/descriptors.js";
export { grpcCodeNames } from "./grpc-codes.js";
export {
  encodeInternalRequest,
  InternalField,
  InternalRequestSpan,
  scanInternalRequest,
  sizeInternalRequest,
} from "./internal-raft-request.js";
export { fromJson, type JsonCodec, type JsonStyle, toJson } from "./json.js";
export {
  isJsonError,
  JsonError,
  type JsonMember,
  type JsonValue,
  jsonDepthMax,
  parseJson,
} from "./json-parser.js";
export {
  isEmptyRange,
  isFromKey,
  isSingleKey,
  type KeyRange,
  keyRange,
  type Latin1Range,
  latin1Range,
  nextKey,
  prefixRangeEnd,
  rangeContains,
  zeroByte,
} from "./key-range.js";
export * as limits from "./limits.js";
export { messageBytes } from "./message-bytes.js";
export type { AnyMessageCodec, AnyMethod, MessageCodec, Method } from "./method.js";
export {
  allMethods,
  auth,
  cluster,
  election,
  health,
  kv,
  lease,
  lock,
  maintenance,
  methodsByHttpPath,
  methodsByPath,
  watch,
} from "./services.js";
export { decodeUtf8, encodeUtf8, sizeUtf8, writeUtf8 } from "./utf8.js";
export { emptyBytes, nestingDepthMax, wasCanonical } from "./wire-reader.js";
export { sizeLengthPrefixed, sizeVarint32, writeVarint32 } from "./wire-writer.js";
