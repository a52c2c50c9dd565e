/**
 * The lessor's constants. Source: server/lease/lessor.go.
 */

/**
 * How many expired leases one `takeExpired` hands out: half of etcd's revoke rate, since it is called twice a second.
 */
export const leaseExpiredBatchMax = 500;

/** From this many leases on, a promotion spreads expiries; it is also etcd's revoke rate, leases a second. */
export const leaseSpreadCountMin = 1000;

/** How many leases may expire in one second after a promotion: three quarters of the revoke rate. */
export const leaseSpreadPerSecond = 750;

/** Interval between two checkpoints of a lease; leases with less remaining time are never checkpointed. */
export const leaseCheckpointIntervalMs = 300_000;

/** How many checkpoints one request carries. */
export const leaseCheckpointBatchMax = 1000;

/** After this long an expired lease that was handed out and still exists is handed out again. */
export const leaseExpiredRetryMs = 7_000;

/** How many leases one step of a promotion looks at: some milliseconds. */
export const promotionStepCount = 5_000;
