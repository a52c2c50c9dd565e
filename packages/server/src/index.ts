/** An etcd member inside a Node program. */

export type { MemberConfig } from "./config/member-config.js";
export { type Etcd, type StartOptions, startEtcd, startMember } from "./embed.js";
export type { Env } from "./env.js";
export { BootstrapError } from "./node/bootstrap-error.js";
export type { Member } from "./node/member.js";
