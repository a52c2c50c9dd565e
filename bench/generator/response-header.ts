/** The ResponseHeader of every answer. */

import { MessageReader } from "./message.js";
import { Region } from "./region.js";

const reader = new MessageReader();
/** What came before the revision in the last header: the ids, long varints that hardly ever change. */
let ids = new Region(0);

/** The revision in the ResponseHeader at `[start, end)`. */
export function headerRevision(region: Region, start: number, end: number): number {
  const areKnown = ids.size <= end - start && ids.isSame(0, ids.size, region, start);
  reader.reset(region.bytes, areKnown ? start + ids.size : start, end);
  let revision = 0;
  while (reader.next()) {
    if (reader.field === 3) {
      revision = reader.value;
      if (!areKnown) {
        ids = Region.copyOf(region.bytes, start, reader.fieldStart);
      }
    }
  }
  return revision;
}
