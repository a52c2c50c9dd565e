import { AlarmType } from "@etcd-ts/api/etcdserverpb";
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../memory-backend.js";
import { AlarmStore } from "./alarm-store.js";

const { NONE, NOSPACE, CORRUPT } = AlarmType;

describe("AlarmStore", () => {
  it("raises and clears pairs of member and type", () => {
    const store = new AlarmStore(new MemoryBackend());
    expect(store.activate(1n, NOSPACE)).toEqual({ memberId: 1n, alarm: NOSPACE });
    expect(store.activate(1n, NOSPACE)).toEqual({ memberId: 1n, alarm: NOSPACE });
    expect(store.activate(2n, CORRUPT)).toEqual({ memberId: 2n, alarm: CORRUPT });
    expect(store.has(NOSPACE)).toBe(true);
    expect(store.deactivate(2n, NOSPACE)).toBeUndefined();
    expect(store.deactivate(1n, NOSPACE)).toEqual({ memberId: 1n, alarm: NOSPACE });
    expect(store.deactivate(1n, NOSPACE)).toBeUndefined();
    expect(store.has(NOSPACE)).toBe(false);
    expect(store.get(NONE)).toEqual([{ memberId: 2n, alarm: CORRUPT }]);
  });

  it("does nothing for type NONE", () => {
    const store = new AlarmStore(new MemoryBackend());
    expect(store.activate(1n, NONE)).toBeUndefined();
    expect(store.deactivate(1n, NONE)).toBeUndefined();
    expect(store.get(NONE)).toEqual([]);
  });

  it("lists by type and member", () => {
    const store = new AlarmStore(new MemoryBackend());
    const large = 2n ** 64n - 1n;
    for (const id of [large, 3n, 5n]) store.activate(id, CORRUPT);
    store.activate(4n, NOSPACE);
    expect(store.get(NONE).map((alarm) => alarm.memberId)).toEqual([4n, 3n, 5n, large]);
    expect(store.get(CORRUPT).map((alarm) => alarm.memberId)).toEqual([3n, 5n, large]);
  });

  it("keeps alarms in the backend, as AlarmMember keys with empty values", () => {
    const backend = new MemoryBackend();
    new AlarmStore(backend).activate(300n, NOSPACE);
    const rows: string[] = [];
    backend.scan("alarm", new Uint8Array(0), undefined, (key, value) => {
      rows.push(`${Buffer.from(key).toString("hex")}=${Buffer.from(value).toString("hex")}`);
      return true;
    });
    expect(rows).toEqual(["08ac021001="]);
    const restored = new AlarmStore(new MemoryBackend());
    restored.activate(9n, CORRUPT);
    restored.restore(backend);
    expect(restored.get(NONE)).toEqual([{ memberId: 300n, alarm: NOSPACE }]);
    expect(restored.deactivate(300n, NOSPACE)).toBeDefined();
    restored.restore(backend);
    expect(restored.get(NONE)).toEqual([]);
  });
});
