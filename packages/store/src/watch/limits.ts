/**
 * The watch hub's limits. Source: server/storage/mvcc/watchable_store.go, server/etcdserver/api/v3rpc/watch.go. etcd
 * bounds a stream by 128 responses of any size; here it is bounded by events and bytes, so that a stream which is read
 * slowly may have its responses merged.
 */

/** A stream that holds this many undelivered events, or bytes of them, takes no more: its watchers fall behind. */
export const streamEventsMax = 16_384;
export const streamBytesMax: number = 8 * 1024 * 1024;

/** Waiting responses of one watcher are merged up to this many events and bytes. */
export const mergedEventsMax = 1000;
export const mergedBytesMax: number = 1024 * 1024;

/** Replies to requests that may wait on a stream before its requests are no longer read. */
export const streamRepliesMax = 16;

/** Watchers of one stream; a create beyond it is refused. */
export const streamWatchersMax = 100_000;

/** How many watchers catch up together in one round. */
export const syncWatchersMax = 512;

/** One catch-up step ends, at the end of a revision, after this many rows, revisions, or bytes of events. */
export const syncRowsMax = 1000;
export const syncRevisionsMax = 1000;
export const syncBytesMax: number = 1024 * 1024;

/** Once so many bytes of events of an unfinished revision were collected for a watcher, only the bytes are kept. */
export const packedBytesMin: number = mergedBytesMax;

/** Bytes of events share arrays of this size; an event of a quarter of it or more gets its own. */
export const eventSlabBytes: number = 32 * 1024;

/** What `--max-request-bytes` is exceeded by before a response is split into fragments. */
export const fragmentOverheadBytes: number = 512 * 1024;
