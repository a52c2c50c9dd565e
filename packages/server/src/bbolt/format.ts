/**
 * The bbolt file format, as far as writing a whole database at once and reading one needs it.
 *
 * A file is a row of pages. Pages 0 and 1 hold the two metas; the one with the larger transaction id is in force. Its
 * root bucket is a tree of leaf and branch pages whose leaf elements are the named buckets, each a tree of its own.
 * All numbers are little-endian.
 *
 * Source: go.etcd.io/bbolt internal/common (page.go, meta.go, inode.go), bucket.go.
 */

export const pageHeaderSize = 16;
export const elementSize = 16;
export const bucketHeaderSize = 16;
export const metaSize = 64;
export const metaMagic = 0xed0c_daed;
export const metaVersion = 2;
/** The freelist's page id when none is stored: whoever opens the file for writing rebuilds it. */
export const noFreelist = 0xffff_ffff_ffff_ffffn;

export const pageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
/** Flag of a leaf element whose value is a bucket. */
export const bucketElementFlag = 0x01;

/** A page's or bucket's count is 16 bits, and 0xffff means something else on a freelist page. */
export const elementsMax = 0xfffe;

export interface Meta {
  readonly pageSize: number;
  readonly rootPage: number;
  readonly freelistPage: bigint;
  /** First page that was never allocated: the size of the database in pages. */
  readonly highWater: number;
  readonly transactionId: bigint;
}

const fnvOffset = 14695981039346656037n;
const fnvPrime = 1099511628211n;

/** FNV-1a, 64 bits. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = fnvOffset;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * fnvPrime);
  return hash;
}

/** A whole page of `meta.pageSize` bytes. */
export function encodeMetaPage(pageId: number, meta: Meta): Uint8Array {
  const page = new Uint8Array(meta.pageSize);
  const view = new DataView(page.buffer);
  view.setBigUint64(0, BigInt(pageId), true);
  view.setUint16(8, pageFlag.meta, true);
  const at = pageHeaderSize;
  view.setUint32(at, metaMagic, true);
  view.setUint32(at + 4, metaVersion, true);
  view.setUint32(at + 8, meta.pageSize, true);
  view.setBigUint64(at + 16, BigInt(meta.rootPage), true);
  view.setBigUint64(at + 32, meta.freelistPage, true);
  view.setBigUint64(at + 40, BigInt(meta.highWater), true);
  view.setBigUint64(at + 48, meta.transactionId, true);
  view.setBigUint64(at + 56, fnv1a64(page.subarray(at, at + 56)), true);
  return page;
}

/** The meta that begins at the start of `page`'s body; undefined when it is not valid. */
export function decodeMetaPage(page: Uint8Array): Meta | undefined {
  if (page.length < pageHeaderSize + metaSize) return undefined;
  const view = new DataView(page.buffer, page.byteOffset + pageHeaderSize, metaSize);
  if (view.getUint32(0, true) !== metaMagic || view.getUint32(4, true) !== metaVersion) return undefined;
  const body = page.subarray(pageHeaderSize, pageHeaderSize + 56);
  if (view.getBigUint64(56, true) !== fnv1a64(body)) return undefined;
  return {
    pageSize: view.getUint32(8, true),
    rootPage: Number(view.getBigUint64(16, true)),
    freelistPage: view.getBigUint64(32, true),
    highWater: Number(view.getBigUint64(40, true)),
    transactionId: view.getBigUint64(48, true),
  };
}
