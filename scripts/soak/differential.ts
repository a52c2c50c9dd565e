/** `npm run soak -- differential [--programs N] [--seed N]`: random programs against our server and Go etcd. */
export { run } from "../../tests/differential/run.js";
