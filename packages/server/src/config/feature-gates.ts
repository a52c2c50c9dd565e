/** Features that are switched by name with `--feature-gates`. Source: etcd server/features/etcd_features.go. */

import { parseBool } from "./go-values.js";
import { accepted, type Parsed, refused } from "./parsed.js";

export type FeatureGate =
  | "CompactHashCheck"
  | "FastLeaseKeepAlive"
  | "InitialCorruptCheck"
  | "LeaseCheckpoint"
  | "LeaseCheckpointPersist"
  | "PriorityRequest"
  | "SetMemberLocalAddr"
  | "StopGRPCServiceOnDefrag"
  | "TxnModeWriteWithSharedBuffer";

export type FeatureGates = Readonly<Record<FeatureGate, boolean>>;

export interface FeatureGateSpec {
  readonly stage: "ALPHA" | "BETA";
  readonly default: boolean;
  readonly help: string;
}

/**
 * In byte order of their names, as etcd lists them. The two corruption checks are on by default, unlike etcd's:
 * nobody turns them on before they are needed.
 */
export const featureGateTable: Readonly<Record<FeatureGate, FeatureGateSpec>> = {
  CompactHashCheck: { stage: "ALPHA", default: true, help: "the leader compares the members' hashes at compactions" },
  FastLeaseKeepAlive: { stage: "BETA", default: true, help: "a renewal does not wait for the applied index" },
  InitialCorruptCheck: { stage: "ALPHA", default: true, help: "compare data with the other members before serving" },
  LeaseCheckpoint: { stage: "ALPHA", default: false, help: "the leader replicates the remaining time of leases" },
  LeaseCheckpointPersist: { stage: "ALPHA", default: false, help: "remaining times are stored; needs LeaseCheckpoint" },
  PriorityRequest: { stage: "ALPHA", default: false, help: "lease revokes go ahead of others under overload" },
  SetMemberLocalAddr: { stage: "ALPHA", default: false, help: "connect to members from the advertised address" },
  StopGRPCServiceOnDefrag: { stage: "ALPHA", default: false, help: "gRPC health is NOT_SERVING while defragmenting" },
  TxnModeWriteWithSharedBuffer: { stage: "BETA", default: true, help: "write transactions read the shared buffer" },
};

const stageGates = { AllAlpha: "ALPHA", AllBeta: "BETA" } as const;

/**
 * Reads `Name=true,Other=false` over the defaults. `AllAlpha` and `AllBeta` set the gates of their stage that are not
 * named themselves, wherever they stand in the text.
 */
export function parseFeatureGates(text: string): Parsed<FeatureGates> {
  const named = new Map<string, boolean>();
  for (const part of text.split(",").map((piece) => piece.trim())) {
    if (part === "") continue;
    const at = part.indexOf("=");
    const name = (at < 0 ? part : part.slice(0, at)).trim();
    if (at < 0) return refused(`missing bool value for ${name}`);
    if (!Object.hasOwn(featureGateTable, name) && !Object.hasOwn(stageGates, name)) {
      return refused(`unrecognized feature gate: ${name}`);
    }
    const valueText = part.slice(at + 1).trim();
    const value = parseBool(valueText);
    if (value === undefined) {
      const cause = `strconv.ParseBool: parsing ${JSON.stringify(valueText)}: invalid syntax`;
      return refused(`invalid value of ${name}=${valueText}, err: ${cause}`);
    }
    named.set(name, value);
  }
  const stageValues = { ALPHA: named.get("AllAlpha"), BETA: named.get("AllBeta") };
  const value = (gate: FeatureGate): boolean => {
    const spec = featureGateTable[gate];
    return named.get(gate) ?? stageValues[spec.stage] ?? spec.default;
  };
  return accepted({
    CompactHashCheck: value("CompactHashCheck"),
    FastLeaseKeepAlive: value("FastLeaseKeepAlive"),
    InitialCorruptCheck: value("InitialCorruptCheck"),
    LeaseCheckpoint: value("LeaseCheckpoint"),
    LeaseCheckpointPersist: value("LeaseCheckpointPersist"),
    PriorityRequest: value("PriorityRequest"),
    SetMemberLocalAddr: value("SetMemberLocalAddr"),
    StopGRPCServiceOnDefrag: value("StopGRPCServiceOnDefrag"),
    TxnModeWriteWithSharedBuffer: value("TxnModeWriteWithSharedBuffer"),
  });
}
