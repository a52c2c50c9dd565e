/**
 * A consistent image of the live database in etcd's file format, made while the database goes on changing: two passes
 * over one pinned read. Its index, term and configuration are read from that very transaction, so that they are exactly
 * those of the rows in it.
 *
 * A pinned read keeps LMDB's pages from being used again: an image has a deadline, and whoever takes it must close it.
 *
 * Source: etcd server/storage/backend (Snapshot), bbolt tx.go WriteTo.
 */

import { bytesFromLatin1, decodeUtf8 } from "@etcd-ts/api";
import { type ConfState, confStateOf, type Member, memberFromJson, parseExact } from "@etcd-ts/store";
import { assert } from "../assert.js";
import type { PinnedDatabase } from "../backend/database.js";
import { type ImageLayout, layOutImage, writeImage } from "../bbolt/image-writer.js";
import type { Clock } from "../env.js";
import { Slices, timeSlices, whenDone } from "../slices.js";
import { readUint64 } from "../uint64.js";
import { graceMs, type ImageAbortedError, Pin } from "./pin.js";
import { PinnedRows } from "./pinned-rows.js";

export interface ImageFacts {
  /** Index and term of the last entry in the image. */
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  /** `meta/storageVersion`; empty when it is not set. */
  readonly storageVersion: string;
}

/** A reader that takes less than this per second keeps too much from being freed. */
const bytesPerSecondMin = 1024 * 1024;
/** Pages are handed out in pieces of about this size. */
const pieceBytes = 32 * 1024;

export class DatabaseImage implements ImageFacts {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  readonly storageVersion: string;
  readonly sizeBytes: number;
  readonly #clock: Clock;
  readonly #layout: ImageLayout;
  readonly #rows: PinnedRows;
  readonly #pin: Pin;

  private constructor(clock: Clock, pin: Pin, rows: PinnedRows, layout: ImageLayout) {
    const facts = readFacts(rows);
    this.index = facts.index;
    this.term = facts.term;
    this.confState = facts.confState;
    this.storageVersion = facts.storageVersion;
    this.sizeBytes = layout.sizeBytes;
    this.#clock = clock;
    this.#pin = pin;
    this.#rows = rows;
    this.#layout = layout;
  }

  /**
   * Lays the image out. Takes over `pinned`, and releases it when the image is closed, aborted, or too slow.
   * Rejects with `ImageAbortedError`.
   */
  static async open(clock: Clock, pinned: PinnedDatabase, aborted: AbortSignal): Promise<DatabaseImage> {
    const pin = new Pin(clock, pinned, aborted);
    try {
      const rows = new PinnedRows(pinned);
      const layOut = timeSlices(
        clock,
        layOutImage(rows.names, (bucket, visitor) => rows.visit(bucket, visitor)),
      );
      const layout = await whenDone(clock, () => {
        pin.check();
        return layOut();
      });
      pin.allow(graceMs + (layout.sizeBytes / bytesPerSecondMin) * 1000);
      return new DatabaseImage(clock, pin, rows, layout);
    } catch (error) {
      pin.release();
      throw error;
    }
  }

  /** The bytes of the file, in order, once. Pieces are the caller's. Throws `ImageAbortedError`. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const slices = new Slices(this.#clock);
    let pages: Uint8Array[] = [];
    let bytes = 0;
    this.#pin.check();
    for (const page of writeImage(this.#layout, (bucket, visitor) => this.#rows.visit(bucket, visitor))) {
      pages.push(page);
      bytes += page.length;
      if (bytes >= pieceBytes) {
        const piece = joined(pages, bytes);
        pages = [];
        bytes = 0;
        yield piece;
        this.#pin.check();
      }
      if (!slices.isOver) continue;
      await slices.next();
      this.#pin.check();
    }
    if (bytes > 0) yield joined(pages, bytes);
  }

  /** Called when the image can no longer be read, because it took too long or was aborted, unless it was closed. */
  onGivenUp(callback: (error: ImageAbortedError) => void): void {
    this.#pin.onGivenUp(callback);
  }

  /** Ends the read. May be called at any time, and again. */
  close(): void {
    this.#pin.release();
  }
}

function readFacts(rows: PinnedRows): ImageFacts {
  const members: Member[] = [];
  const memberRows = rows.visit("members", (_key, value) => {
    const member = memberFromJson(parseExact(decodeUtf8(value, 0, value.length) ?? ""));
    assert(member !== undefined, "the rows of members are members");
    members.push(member);
  });
  // They are few.
  while (memberRows.next().done !== true);
  const version = rows.get("meta", bytesFromLatin1("storageVersion"));
  return {
    index: numberIn(rows, "consistent_index"),
    term: numberIn(rows, "term"),
    confState: confStateOf(members),
    storageVersion: version === undefined ? "" : (decodeUtf8(version, 0, version.length) ?? ""),
  };
}

function numberIn(rows: PinnedRows, name: string): number {
  const stored = rows.get("meta", bytesFromLatin1(name));
  return stored === undefined ? 0 : readUint64(stored, 0);
}

function joined(pages: readonly Uint8Array[], size: number): Uint8Array {
  const piece = new Uint8Array(size);
  let at = 0;
  for (const page of pages) {
    piece.set(page, at);
    at += page.length;
  }
  return piece;
}
