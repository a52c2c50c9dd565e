/**
 * `npm run soak -- etcdctl`: the whole etcdctl session against our member and Go etcd, with every stock etcdctl we
 * have.
 */
export { run } from "../../tests/interop/etcdctl-compare.js";
