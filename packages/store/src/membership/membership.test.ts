import { encodeUtf8, type Reason } from "@etcd-ts/api";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../memory-backend.js";
import {
  addMemberChange,
  type ConfChange,
  ConfChangeType,
  promoteMemberChange,
  readContext,
  removeMemberChange,
  updateMemberChange,
} from "./conf-change.js";
import { loadConfState, parseConfState, storeConfState, stringifyConfState } from "./conf-state.js";
import type { Member } from "./member.js";
import { Membership } from "./membership.js";

const large = 0xd5dc5f8d75d04e29n;

function member(id: bigint, options?: Partial<Member>): Member {
  return { id, peerUrls: [`http://peer:${id}`], isLearner: false, name: "", clientUrls: [], ...options };
}

function withMembers(...members: Member[]): { backend: MemoryBackend; membership: Membership } {
  const backend = new MemoryBackend();
  const membership = new Membership(backend);
  for (const each of members) membership.apply(addMemberChange(each));
  return { backend, membership };
}

function rows(
  backend: MemoryBackend,
  bucket: "members" | "members_removed" | "cluster" | "meta",
): Record<string, string> {
  const found: Record<string, string> = {};
  backend.scan(bucket, new Uint8Array(0), undefined, (key, value) => {
    found[Buffer.from(key).toString()] = Buffer.from(value).toString();
    return true;
  });
  return found;
}

function text(change: ConfChange): string {
  return Buffer.from(change.context).toString();
}

describe("contexts of configuration changes", () => {
  it("are etcd's JSON, with bare 64-bit digits", () => {
    expect(text(addMemberChange(member(large, { name: "a", peerUrls: ["http://h:1"] })))).toBe(
      '{"id":15410297086126607913,"peerURLs":["http://h:1"],"name":"a"}',
    );
    expect(text(addMemberChange(member(1n, { isLearner: true })))).toBe(
      '{"id":1,"peerURLs":["http://peer:1"],"isLearner":true}',
    );
    expect(text(promoteMemberChange(large))).toBe('{"id":15410297086126607913,"peerURLs":null,"isPromote":true}');
    expect(text(updateMemberChange(1n, ["http://h:1"]))).toBe('{"id":1,"peerURLs":["http://h:1"]}');
    expect(text(removeMemberChange(1n))).toBe("");
  });

  it.each([
    ["", undefined],
    ["[]", undefined],
    ['{"id":2,"peerURLs":[]}', undefined],
    ['{"id":1,"peerURLs":[1]}', undefined],
    ['{"id":1,"isPromote":1}', undefined],
    ['{"id":1.5}', undefined],
    ['{"id":-1}', undefined],
    ['{"id":1', undefined],
    ['{"id":1,"unknown":{"a":[null,1.5]}}', { member: member(1n, { peerUrls: [] }), isPromote: false }],
  ])("reads %s", (context, expected) => {
    expect(readContext({ type: ConfChangeType.addNode, nodeId: 1n, context: encodeUtf8(context) })).toEqual(expected);
  });

  it("that are not UTF-8 are none", () => {
    const context = Uint8Array.from([0x7b, 0xff, 0x7d]);
    expect(readContext({ type: ConfChangeType.addNode, nodeId: 1n, context })).toBeUndefined();
  });
});

describe("refusal", () => {
  const voters = [member(1n), member(2n), member(large)];
  const cases: [string, Member[], ConfChange, Reason | undefined][] = [
    ["a new member", voters, addMemberChange(member(4n)), undefined],
    ["a known id", voters, addMemberChange(member(2n)), "memberExist"],
    ["a known id as a learner", voters, addMemberChange(member(2n, { isLearner: true })), "memberExist"],
    [
      "a URL in use",
      voters,
      addMemberChange(member(4n, { peerUrls: ["http://n:1", "http://peer:2"] })),
      "peerURLExist",
    ],
    ["a first learner", voters, addMemberChange(member(4n, { isLearner: true })), undefined],
    [
      "a second learner",
      [...voters, member(4n, { isLearner: true })],
      addMemberChange(member(5n, { isLearner: true })),
      "tooManyLearners",
    ],
    ["a voter beside a learner", [...voters, member(4n, { isLearner: true })], addMemberChange(member(5n)), undefined],
    ["removing a member", voters, removeMemberChange(2n), undefined],
    ["removing nobody", voters, removeMemberChange(9n), "memberNotFound"],
    [
      "removing the last voter",
      [member(1n), member(2n, { isLearner: true })],
      removeMemberChange(1n),
      "memberNotEnoughStarted",
    ],
    [
      "removing the learner of one voter",
      [member(1n), member(2n, { isLearner: true })],
      removeMemberChange(2n),
      undefined,
    ],
    ["updating nobody", voters, updateMemberChange(9n, ["http://n:1"]), "memberNotFound"],
    ["updating to one's own URL", voters, updateMemberChange(2n, ["http://peer:2"]), undefined],
    ["updating to another's URL", voters, updateMemberChange(2n, ["http://peer:1"]), "peerURLExist"],
    ["promoting nobody", voters, promoteMemberChange(9n), "memberNotFound"],
    ["promoting a voter", voters, promoteMemberChange(2n), "memberNotLearner"],
    ["promoting a learner", [member(1n), member(2n, { isLearner: true })], promoteMemberChange(2n), undefined],
    ["a context that is none", voters, { ...addMemberChange(member(4n)), context: encodeUtf8("{") }, "memberBadURLs"],
    ["a context of another", voters, { ...addMemberChange(member(4n)), nodeId: 5n }, "memberBadURLs"],
    [
      "a promotion by the learner type",
      [member(1n), member(2n, { isLearner: true })],
      { ...promoteMemberChange(2n), type: ConfChangeType.addLearnerNode },
      "memberExist",
    ],
  ];
  it.each(cases)("of %s", (_name, members, change, expected) => {
    expect(withMembers(...members).membership.refusal(change)).toBe(expected);
  });

  it("of anything about a removed id", () => {
    const { membership } = withMembers(...voters);
    membership.apply(removeMemberChange(2n));
    for (const change of [
      addMemberChange(member(2n, { peerUrls: ["http://n:1"] })),
      removeMemberChange(2n),
      updateMemberChange(2n, ["http://n:1"]),
      promoteMemberChange(2n),
    ]) {
      expect(membership.refusal(change)).toBe("memberNotFound");
      expect(() => membership.apply(change)).toThrow("was validated");
    }
  });

  it("admits as many learners as the flag says", () => {
    const membership = new Membership(new MemoryBackend(), { learnersMax: 2 });
    for (const id of [1n, 2n]) membership.apply(addMemberChange(member(id, { isLearner: true })));
    expect(membership.refusal(addMemberChange(member(3n, { isLearner: true })))).toBe("tooManyLearners");
  });
});

describe("apply", () => {
  it("keeps table, rows and conf state alike, and says what happened", () => {
    const { backend, membership } = withMembers(member(large, { name: "a" }), member(2n));
    expect(membership.apply(addMemberChange(member(3n, { isLearner: true })))).toMatchObject({ kind: "memberAdded" });
    expect(stringifyConfState(membership.confState())).toBe(
      '{"voters":[2,15410297086126607913],"learners":[3],"auto_leave":false}',
    );
    expect(membership.apply(promoteMemberChange(3n))).toMatchObject({ kind: "learnerPromoted", member: { id: 3n } });
    expect(membership.apply(updateMemberChange(3n, ["http://n:1"]))).toMatchObject({
      kind: "memberUpdated",
      member: { peerUrls: ["http://n:1"], isLearner: false },
    });
    expect(membership.apply(removeMemberChange(2n))).toEqual({ kind: "memberRemoved", id: 2n });
    expect(rows(backend, "members")).toEqual({
      d5dc5f8d75d04e29: '{"id":15410297086126607913,"peerURLs":["http://peer:15410297086126607913"],"name":"a"}',
      "3": '{"id":3,"peerURLs":["http://n:1"]}',
    });
    expect(rows(backend, "members_removed")).toEqual({ "2": "removed" });
    expect(membership.voters().map((each) => each.id)).toEqual([3n, large]);
    expect(membership.startedVoterCount()).toBe(1);
  });

  it("keeps names, client URLs and the learner mark over an update", () => {
    const { membership } = withMembers(member(1n), member(2n, { isLearner: true }));
    membership.setAttributes(2n, { name: "b", clientUrls: ["http://c:1"] });
    membership.apply(updateMemberChange(2n, ["http://n:1"]));
    expect(membership.member(2n)).toEqual({
      id: 2n,
      peerUrls: ["http://n:1"],
      isLearner: true,
      name: "b",
      clientUrls: ["http://c:1"],
    });
  });

  it("takes the kind of a member from the change, as raft does", () => {
    const { membership } = withMembers();
    const learner = addMemberChange(member(1n, { isLearner: true }));
    membership.apply({ ...learner, type: ConfChangeType.addNode });
    expect(membership.member(1n)?.isLearner).toBe(false);
  });
});

describe("attributes", () => {
  it("are stored for members and ignored for others", () => {
    const { backend, membership } = withMembers(member(1n), member(2n));
    membership.apply(removeMemberChange(2n));
    const attributes = { name: "a<b", clientUrls: ["http://c:2", "http://c:1"] };
    expect(membership.setAttributes(1n, attributes)).toBe(true);
    expect(membership.setAttributes(2n, attributes)).toBe(false);
    expect(membership.setAttributes(9n, attributes)).toBe(false);
    expect(rows(backend, "members")).toEqual({
      "1": '{"id":1,"peerURLs":["http://peer:1"],"name":"a\\u003cb","clientURLs":["http://c:2","http://c:1"]}',
    });
  });
});

describe("cluster version and downgrade", () => {
  it("are kept as etcd keeps them", () => {
    const { backend, membership } = withMembers();
    expect(membership.clusterVersion()).toBeUndefined();
    expect(membership.downgrade()).toEqual({ enabled: false, targetVersion: "" });
    membership.setClusterVersion("3.7.0");
    membership.setDowngrade({ enabled: true, targetVersion: "3.6.0" });
    expect(rows(backend, "cluster")).toEqual({
      clusterVersion: "3.7.0",
      downgrade: '{"target-version":"3.6.0","enabled":true}',
    });
    const restored = new Membership(new MemoryBackend());
    restored.restore(backend);
    expect(restored.clusterVersion()).toBe("3.7.0");
    expect(restored.downgrade()).toEqual({ enabled: true, targetVersion: "3.6.0" });
    membership.setDowngrade({ enabled: false, targetVersion: "3.6.0" });
    expect(rows(backend, "cluster")).toMatchObject({ downgrade: '{"target-version":"","enabled":false}' });
  });
});

describe("restore", () => {
  it("loads what another member stored, and nothing of what was before", () => {
    const { backend, membership } = withMembers(member(large, { name: "ä\u{1f600}" }), member(2n, { isLearner: true }));
    membership.apply(removeMemberChange(2n));
    const { membership: restored } = withMembers(member(7n));
    restored.restore(backend);
    expect(restored.members()).toEqual(membership.members());
    expect(restored.isRemoved(2n)).toBe(true);
    expect(restored.isRemoved(7n)).toBe(false);
  });

  it.each([
    ["d", '{"id":14', "end of text"],
    ["d", "[]", "is a member"],
    ["d", '{"id":14}', "holds its id"],
  ])("stops on a damaged row %s = %s", (key, value, message) => {
    const backend = new MemoryBackend();
    backend.put("members", encodeUtf8(key), encodeUtf8(value));
    expect(() => new Membership(backend).restore(backend)).toThrow(message);
  });
});

describe("conf state", () => {
  it("is stored and read back with all its lists", () => {
    const backend = new MemoryBackend();
    expect(loadConfState(backend)).toBeUndefined();
    const state = { voters: [1n, large], learners: [3n], votersOutgoing: [4n], learnersNext: [5n], autoLeave: true };
    storeConfState(backend, state);
    expect(rows(backend, "meta")).toEqual({
      confState:
        '{"voters":[1,15410297086126607913],"learners":[3],"voters_outgoing":[4],"learners_next":[5],"auto_leave":true}',
    });
    expect(loadConfState(backend)).toEqual(state);
    expect(parseConfState('{"voters":[1]}')).toEqual({
      voters: [1n],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    });
  });
});
