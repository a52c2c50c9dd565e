import { describe, expect, it } from "vitest";
import { EtcdError, errorSpecs, etcdError, isEtcdError, isRetryable, reasonOfMessage, reasons } from "./errors.js";

describe("error table", () => {
  it("has one reason for each text", () => {
    expect(new Set(reasons.map((reason) => errorSpecs[reason].message)).size).toBe(reasons.length);
    for (const reason of reasons) expect(reasonOfMessage(errorSpecs[reason].message)).toBe(reason);
  });

  it("sends what etcd sends", () => {
    expect(errorSpecs.compacted).toEqual({
      code: 11,
      message: "etcdserver: mvcc: required revision has been compacted",
      retryable: false,
      clientIdentifier: "ErrCompacted",
    });
    expect(errorSpecs.noLeader).toMatchObject({ code: 14, retryable: true });
    expect(errorSpecs.watchCanceled.clientIdentifier).toBeUndefined();
    // Two errors that etcd's own conversion turns into Unknown.
    expect(errorSpecs.memberNotEnoughStarted.code).toBe(2);
    expect(errorSpecs.requestTooManyRequests.code).toBe(2);
  });
});

describe("EtcdError", () => {
  it("carries the reason of its text", () => {
    const error = etcdError("leaseNotFound");
    expect(error).toMatchObject({ reason: "leaseNotFound", code: 5, message: "etcdserver: requested lease not found" });
    expect(isEtcdError(error)).toBe(true);
    expect(new EtcdError({ code: 13, message: "broken" }).reason).toBeUndefined();
    expect(isEtcdError(new Error("broken"))).toBe(false);
  });
});

describe("isRetryable", () => {
  it("holds for Unavailable, unless the text is of an error that lasts", () => {
    expect(isRetryable(errorSpecs.timeout)).toBe(true);
    expect(isRetryable({ code: 14, message: "connection refused" })).toBe(true);
    expect(isRetryable(errorSpecs.emptyKey)).toBe(false);
    // Servers up to 3.5 sent this one as Unavailable.
    expect(isRetryable({ code: 14, message: errorSpecs.notCapable.message })).toBe(false);
  });
});
