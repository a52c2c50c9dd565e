import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AlarmResponse,
  createLeaseTimeToLiveResponse,
  createRangeResponse,
  createStatusResponse,
  createTxnResponse,
  createWatchResponse,
} from "./gen/etcdserverpb.js";
import { fromJson, type JsonCodec, toJson } from "./json.js";
import { isJsonError, JsonError, parseJson } from "./json-parser.js";
import { cluster, kv, lease, maintenance, watch } from "./services.js";
import { encodeUtf8 } from "./utf8.js";

/** The error text, or "ok". */
function outcome(read: () => unknown): string {
  try {
    read();
    return "ok";
  } catch (error) {
    if (isJsonError(error)) return error.message;
    throw error;
  }
}

/**
 * Bodies sent to `/v3/kv/range` and `/v3/kv/txn` of Go etcd 3.7.3, and the message of its answer, or "ok" where the
 * body was read (whatever the request then came to).
 */
const answersOfGo: readonly (readonly ["range" | "txn", string, string])[] = [
  ["range", '{"key":"Zm9v","limit":"x"}', 'proto: (line 1:23): invalid value for int64 field limit: "x"'],
  ["range", '{"key":"Zm9v","limit":1.5}', "proto: (line 1:23): invalid value for int64 field limit: 1.5"],
  ["range", '{"key":5}', "proto: (line 1:8): invalid value for bytes field key: 5"],
  ["range", '{"key":"!"}', 'proto: (line 1:8): invalid value for bytes field key: "!"'],
  [
    "range",
    '{"key":"Zm9v","serializable":"true"}',
    'proto: (line 1:30): invalid value for bool field serializable: "true"',
  ],
  ["range", '{"key":"Zm9v","key":"Zm9v"}', 'proto: (line 1:15): duplicate field "key"'],
  ["range", '{"key":"Zm9v","range_end":"","rangeEnd":""}', 'proto: (line 1:30): duplicate field "rangeEnd"'],
  ["range", "{", "unexpected EOF"],
  ["range", "[]", "proto: syntax error (line 1:1): unexpected token ["],
  ["range", '{"key":"Zm9v"} x', "ok"],
  [
    "txn",
    '{"compare":[{"key":"Zm9v","version":"1","value":"eA=="}]}',
    'proto: (line 1:41): error parsing "value", oneof etcdserverpb.Compare.target_union is already set',
  ],
  [
    "range",
    '{"key":"Zm9v","limit":99999999999999999999}',
    "proto: (line 1:23): invalid value for int64 field limit: 99999999999999999999",
  ],
  ["range", '{"key":"Zm9v","limit":" 1"}', 'proto: (line 1:23): invalid value for int64 field limit: " 1"'],
  ["range", '{"key":"Zm8","limit":"-0"}', "ok"],
  ["txn", '{"compare":{}}', "proto: syntax error (line 1:12): unexpected token {"],
  ["range", "null", "proto: syntax error (line 1:1): unexpected token null"],
  ["txn", '{"compare":[null]}', "proto: syntax error (line 1:13): unexpected token null"],
  ["txn", '{"compare":}', "invalid character '}' looking for beginning of value"],
  ["txn", '{"compare" 1}', "invalid character '1' after object key"],
  ["txn", "{compare:1}", "invalid character 'c' looking for beginning of object key string"],
  [
    "txn",
    '{"compare":[{"lease":9223372036854775808}]}',
    "proto: (line 1:22): invalid value for int64 field lease: 9223372036854775808",
  ],
  ["txn", '{"compare":[{"lease":-9223372036854775808,"target":4,"result":"GREATER","key":"_w"}]}', "ok"],
  ["txn", '{"compare":[{"lease":"1.0"}]}', "ok"],
  ["txn", '{"compare":[{"lease":1e2}]}', "ok"],
  ["txn", '{"compare":[{"lease":1.5e1}]}', "ok"],
  ["txn", '{"compare":[{"lease":""}]}', 'proto: (line 1:22): invalid value for int64 field lease: ""'],
  ["txn", '{"compare":[{"target":1.0,"key":"YQ"}]}', "ok"],
  ["txn", '{"compare":[{"target":"1","key":"YQ"}]}', "ok"],
  [
    "txn",
    '{"compare":[{"target":99999999999,"key":"YQ"}]}',
    "proto: (line 1:23): invalid value for enum field target: 99999999999",
  ],
  ["txn", '{"compare":[{"target":true,"key":"YQ"}]}', "proto: (line 1:23): invalid value for enum field target: true"],
  ["txn", '{"compare":[{"key":"Y Q"}]}', 'proto: (line 1:20): invalid value for bytes field key: "Y Q"'],
  ["txn", '{"compare":[{"key":"YQ\\n"}]}', "ok"],
  ["txn", '{"compare":[{"key":"YR=="}]}', "ok"],
  ["txn", '{"compare":[{"key":"YQ="}]}', 'proto: (line 1:20): invalid value for bytes field key: "YQ="'],
  ["txn", '{"compare":[{"key":"YQ====="}]}', 'proto: (line 1:20): invalid value for bytes field key: "YQ====="'],
  ["txn", '{"compare":[{"key":"-_+/"}]}', 'proto: (line 1:20): invalid value for bytes field key: "-_+/"'],
  ["txn", '{"compare":[{"key":"YQ==YQ=="}]}', 'proto: (line 1:20): invalid value for bytes field key: "YQ==YQ=="'],
  ["txn", '{"compare":[{"key":"YQ=\\n="}]}', 'proto: (line 1:20): invalid value for bytes field key: "YQ=\\n="'],
  ["txn", '{"compare":[{"key":"YQ=\\n=YQ"}]}', 'proto: (line 1:20): invalid value for bytes field key: "YQ=\\n=YQ"'],
  ["txn", '{"compare":[{"key":"===="}]}', 'proto: (line 1:20): invalid value for bytes field key: "===="'],
  ["txn", '{"compare":[{"key":"="}]}', 'proto: (line 1:20): invalid value for bytes field key: "="'],
  ["txn", '{"compare":[{"key":"YQ\\r\\n"}]}', 'proto: (line 1:20): invalid value for bytes field key: "YQ\\r\\n"'],
  ["txn", '{"compare":[{"key":"YWE\\n"}]}', 'proto: (line 1:20): invalid value for bytes field key: "YWE\\n"'],
  ["txn", '{"compare":[{"key":"YWE=\\n"}]}', 'proto: (line 1:20): invalid value for bytes field key: "YWE=\\n"'],
  ["txn", '"x"', 'proto: syntax error (line 1:1): unexpected token "x"'],
  ["txn", "1", "proto: syntax error (line 1:1): unexpected token 1"],
  ["txn", '{"compare":["x"]}', 'proto: syntax error (line 1:13): unexpected token "x"'],
  ["txn", '{"compare":[{"key":"YQ",}]}', "invalid character '}' looking for beginning of object key string"],
  [
    "txn",
    '{"success":[{"request_put":{},"request_range":{}}]}',
    'proto: (line 1:31): error parsing "request_range", oneof etcdserverpb.RequestOp.request is already set',
  ],
  ["txn", '{"success":[{"request_put":null,"request_range":{"key":"YQ"}}]}', "ok"],
  ["txn", '{"zz":[1,{"a":tru}]}', "invalid character '}' in literal true (expecting 'e')"],
  ["txn", '{"zz":"\\x"}', "invalid character 'x' in string escape code"],
  ["txn", '{"compare":[{"lease":01}]}', "invalid character '1' after object key:value pair"],
  ["txn", '{"compare":[{"lease":+1}]}', "invalid character '+' looking for beginning of value"],
  ["txn", '{"compare":[{"lease":"01"}]}', 'proto: (line 1:22): invalid value for int64 field lease: "01"'],
  ["txn", '{"compare":[{"lease":"+1"}]}', 'proto: (line 1:22): invalid value for int64 field lease: "+1"'],
  ["txn", '{"compare":[{"lease":"1e2"}]}', "ok"],
  ["txn", '{"compare":[{"lease":"1E+2"}]}', "ok"],
  ["txn", '{"compare":[{"lease":1e20}]}', "proto: (line 1:22): invalid value for int64 field lease: 1e20"],
  ["txn", '{"compare":[{"lease":1e-1}]}', "proto: (line 1:22): invalid value for int64 field lease: 1e-1"],
  ["txn", '{"compare":[{"lease":10e-1}]}', "ok"],
  ["txn", '{"compare":[{"lease":0e99999999999}]}', "ok"],
  ["txn", '{"compare":[{"lease":[]}]}', "proto: (line 1:22): invalid value for int64 field lease: ["],
  ["txn", '{"compare":[{"lease":{}}]}', "proto: (line 1:22): invalid value for int64 field lease: {"],
  ["txn", ' {"\\u0063ompare":[]}', "ok"],
  ["txn", '{"zz":nul}', "invalid character '}' in literal null (expecting 'l')"],
  ["txn", '{"zz":-}', "invalid character '}' in numeric literal"],
  ["txn", '{"zz":1.}', "invalid character '}' after decimal point in numeric literal"],
  ["txn", '{"zz":1e}', "invalid character '}' in exponent of numeric literal"],
  ["txn", '{"zz":"a\u0001"}', "invalid character '\\x01' in string literal"],
  ["txn", '{"zz":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"],
  ["txn", '{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
  ["txn", "[1 2]", "invalid character '2' after array element"],
  ["txn", '{"zz":[1 2]}', "invalid character '2' after array element"],
  ["txn", "{\"zz\":'a'}", "invalid character '\\'' looking for beginning of value"],
  ["txn", '{\n"compare":\n [{"lease":"é"}]}', 'proto: (line 3:12): invalid value for int64 field lease: "é"'],
  ["txn", '{"compare":["é",5]}', 'proto: syntax error (line 1:13): unexpected token "é"'],
  ["txn", '{"compare":[{"é":1,"lease":{}}]}', "proto: (line 1:28): invalid value for int64 field lease: {"],
  [
    "txn",
    '{"success":[{"request_txn":{"success":[{"request_put":{"lease":"a"}}]}}]}',
    'proto: (line 1:64): invalid value for int64 field lease: "a"',
  ],
  ["txn", "", "ok"],
  ["txn", "  ", "ok"],
];

describe("fromJson", () => {
  it.each(answersOfGo)("%s %j: %s", (method, body, expected) => {
    const codec: JsonCodec<object> = kv[method].request;
    expect(outcome(() => fromJson(codec, body))).toBe(expected);
  });

  it("takes proto names, lowerCamel names, numbers and strings", () => {
    expect(
      fromJson(
        kv.range.request,
        '{"key":"YQ","rangeEnd":"AA==","limit":"5","min_mod_revision":7,"sort_order":"DESCEND","sort_target":3,"keys_only":true}',
      ),
    ).toEqual(
      kv.range.request.create({
        key: encodeUtf8("a"),
        rangeEnd: Uint8Array.of(0),
        limit: 5,
        minModRevision: 7,
        sortOrder: 2,
        sortTarget: 3,
        keysOnly: true,
      }),
    );
    expect(fromJson(cluster.memberUpdate.request, '{"ID":"1","peerURLs":["http://a","http://b"]}')).toEqual({
      id: 1n,
      peerUrls: ["http://a", "http://b"],
    });
  });

  it("reads ids without loss, as digits and as strings", () => {
    const id = (text: string): bigint => fromJson(lease.leaseRevoke.request, `{"ID":${text}}`).id;
    expect(id("9223372036854775807")).toBe(2n ** 63n - 1n);
    expect(id('"-9223372036854775808"')).toBe(-(2n ** 63n));
    expect(id("9007199254740993")).toBe(2n ** 53n + 1n);
    expect(fromJson(cluster.memberRemove.request, '{"ID":18446744073709551615}').id).toBe(2n ** 64n - 1n);
    expect(outcome(() => fromJson(cluster.memberRemove.request, '{"ID":-1}'))).toBe(
      "proto: (line 1:7): invalid value for uint64 field ID: -1",
    );
  });

  it("saturates what is only compared", () => {
    expect(fromJson(kv.range.request, '{"limit":9223372036854775807,"revision":"-9223372036854775808"}')).toMatchObject(
      {
        limit: 2 ** 53,
        revision: -(2 ** 53),
      },
    );
  });

  it("reads oneofs", () => {
    expect(fromJson(watch.watch.request, '{"create_request":{"key":"YQ","filters":["NOPUT",1]}}')).toMatchObject({
      requestUnion: { kind: "createRequest", value: { key: encodeUtf8("a"), filters: [0, 1] } },
    });
    expect(fromJson(watch.watch.request, '{"progress_request":{}}')).toEqual({
      requestUnion: { kind: "progressRequest", value: {} },
    });
    expect(fromJson(watch.watch.request, "{}")).toEqual({ requestUnion: undefined });
  });

  it("ignores names that only JavaScript knows", () => {
    expect(
      fromJson(maintenance.alarm.request, '{"action":"constructor","__proto__":{"alarm":1},"toString":1}'),
    ).toEqual({
      action: 0,
      memberId: 0n,
      alarm: 0,
    });
  });

  it("refuses text with lone surrogates", () => {
    expect(outcome(() => fromJson(maintenance.downgrade.request, '{"version":"\\ud800"}'))).toContain("invalid value");
    expect(fromJson(maintenance.downgrade.request, '{"version":"\\ud834\\udd1e"}').version).toBe("𝄞");
  });

  it("refuses deep nesting and takes time in proportion", () => {
    const nested = (levels: number): string => `{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    expect(outcome(() => fromJson(kv.range.request, nested(31)))).toBe("ok");
    expect(outcome(() => fromJson(kv.range.request, nested(32)))).toBe("exceeded max depth");
    expect(outcome(() => fromJson(kv.range.request, "[".repeat(1_000_000)))).toBe("exceeded max depth");
    const many = `{"success":[${'{"request_put":{"key":"YQ"}},'.repeat(30_000)}{}]}`;
    expect(fromJson(kv.txn.request, many).success.length).toBe(30_001);
  });

  it("shows a refused value, but not at any length", () => {
    expect(outcome(() => fromJson(kv.range.request, `{"limit":"${"9".repeat(100_000)}"}`)).length).toBeLessThan(2000);
  });
});

describe("parseJson", () => {
  it("accepts what JSON.parse accepts, and the same values", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.nat(3), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        expect(plain(parseJson(spaced))).toEqual(JSON.parse(spaced));
      }),
    );
  });

  it("refuses what JSON.parse refuses, as far as it reads", () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.nat(200),
        fc.constantFrom("", '"', "\\", ",", "}", "]", "x", "\n", "1"),
        (text, at, inserted) => {
          const damaged = text.slice(0, at) + inserted + text.slice(at + 1);
          if (isJson(damaged)) expect(plain(parseJson(damaged))).toEqual(JSON.parse(damaged));
          else if (outcome(() => parseJson(damaged)) === "ok") {
            // Only what follows the first value was wrong, or there was none.
            const value = parseJson(damaged);
            const prefixes = Array.from({ length: damaged.length + 1 }, (_, end) => damaged.slice(0, end));
            expect(value === undefined || prefixes.some(isJson)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function plain(value: ReturnType<typeof parseJson>): unknown {
  switch (value?.kind) {
    case "object":
      return Object.fromEntries(value.members.map(({ key, value: member }) => [key, plain(member)]));
    case "array":
      return value.items.map(plain);
    case "number":
      return Number(value.text);
    case "string":
    case "boolean":
      return value.value;
    default:
      return null;
  }
}

describe("toJson", () => {
  const header = { clusterId: 18313758221820662318n, memberId: 11474789679860133653n, revision: 2, raftTerm: 2 };

  it("writes what the gateway writes", () => {
    const kvs = [{ key: encodeUtf8("foo"), createRevision: 2, modRevision: 2, version: 1, value: encodeUtf8("bar") }];
    expect(toJson(kv.range.response, createRangeResponse({ header, kvs, count: 1 }))).toBe(
      '{"header":{"cluster_id":"18313758221820662318","member_id":"11474789679860133653","revision":"2","raft_term":"2"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"count":"1"}',
    );
    const status = { header, version: "3.7.3", dbSize: 20480, leader: header.memberId, downgradeInfo: {} };
    expect(toJson(maintenance.status.response, createStatusResponse(status))).toBe(
      '{"header":{"cluster_id":"18313758221820662318","member_id":"11474789679860133653","revision":"2","raft_term":"2"},"version":"3.7.3","dbSize":"20480","leader":"11474789679860133653","downgradeInfo":{}}',
    );
    const alarms: AlarmResponse = {
      header: undefined,
      alarms: [
        { memberId: 1n, alarm: 1 },
        { memberId: 0n, alarm: 7 as 0 },
      ],
    };
    expect(toJson(maintenance.alarm.response, alarms)).toBe(
      '{"alarms":[{"memberID":"1","alarm":"NOSPACE"},{"alarm":7}]}',
    );
  });

  it("writes what etcdctl -w json writes", () => {
    const kvs = [{ key: encodeUtf8("a"), createRevision: 3, modRevision: 3, version: 1, value: encodeUtf8("b") }];
    const responses = [
      { response: { kind: "responseRange", value: { header: { revision: 3 }, kvs, count: 1 } } },
      { response: { kind: "responsePut", value: { header: { revision: 4 } } } },
    ] as const;
    const txn = createTxnResponse({ header: { ...header, revision: 4 }, succeeded: true, responses });
    expect(toJson(kv.txn.response, txn, "go")).toBe(
      '{"header":{"cluster_id":18313758221820662318,"member_id":11474789679860133653,"revision":4,"raft_term":2},"succeeded":true,"responses":[{"Response":{"response_range":{"header":{"revision":3},"kvs":[{"key":"YQ==","create_revision":3,"mod_revision":3,"version":1,"value":"Yg=="}],"count":1}}},{"Response":{"response_put":{"header":{"revision":4}}}}]}',
    );
    const answer = createWatchResponse({ cancelReason: "<&>\u2028", events: [{ type: 1 }] });
    expect(toJson(watch.watch.response, answer, "go")).toBe(
      '{"cancel_reason":"\\u003c\\u0026\\u003e\\u2028","events":[{"type":1}]}',
    );
  });

  it("writes lists of bytes, and keeps empty ones in them", () => {
    const keys = [encodeUtf8("a"), new Uint8Array(0)];
    expect(toJson(lease.leaseTimeToLive.response, createLeaseTimeToLiveResponse({ ttl: -1, keys }))).toBe(
      '{"TTL":"-1","keys":["YQ==",""]}',
    );
  });

  it("escapes control characters as Go does", () => {
    const request = maintenance.downgrade.request.create({ version: '\u0000\b\f\n\r\t\u001f"\\\u007f<é𝄞' });
    expect(toJson(maintenance.downgrade.request, request)).toBe(
      '{"version":"\\u0000\\b\\f\\n\\r\\t\\u001f\\"\\\\\u007f<é𝄞"}',
    );
  });
});

it("recognises its errors", () => {
  expect(isJsonError(new JsonError("x"))).toBe(true);
  expect(isJsonError(new Error("x"))).toBe(false);
});
