/**
 * Writes and syncs files on a thread of its own, so that a slow disk does not stop the loop. The thread waits on an
 * atomic; a job is put into shared memory and takes no message there, which matters as its latency is that of every
 * put.
 */

import { Worker } from "node:worker_threads";
import { DiskError } from "../env.js";

const controlWords = 16;
const dataOffset = controlWords * Int32Array.BYTES_PER_ELEMENT;
const dataBytesMax = 4 << 20;

/** Indexes of the control words. */
const word = { job: 0, fd: 1, length: 2, offsetLow: 3, offsetHigh: 4, sync: 5, errorLength: 6 } as const;

/**
 * The worker's program. It is started from this function's text, so that it runs from sources and builds alike; hence
 * it must not refer to anything outside itself.
 */
function runSyncWorker(): void {
  const require = process.getBuiltinModule;
  const { parentPort, workerData } = require("node:worker_threads");
  const fs = require("node:fs");
  const memory: SharedArrayBuffer = workerData.memory;
  const control = new Int32Array(memory, 0, workerData.dataOffset / Int32Array.BYTES_PER_ELEMENT);
  const data = new Uint8Array(memory, workerData.dataOffset);
  const at: typeof word = workerData.word;
  const read = (index: number): number => Atomics.load(control, index);
  for (let seen = 0; ; ) {
    Atomics.wait(control, at.job, seen);
    seen = read(at.job);
    const fd = read(at.fd);
    if (fd < 0) return;
    let errorLength = 0;
    try {
      const length = read(at.length);
      const offset = read(at.offsetHigh) * 2 ** 31 + read(at.offsetLow);
      for (let done = 0; done < length; ) done += fs.writeSync(fd, data, done, length - done, offset + done);
      if (read(at.sync) === 1) fs.fdatasyncSync(fd);
    } catch (error) {
      const { syscall = "write", code = "EIO" } = error as NodeJS.ErrnoException;
      const text = `${syscall} ${code}`;
      for (let i = 0; i < text.length; i++) data[i] = text.charCodeAt(i);
      errorLength = text.length;
    }
    Atomics.store(control, at.errorLength, errorLength);
    parentPort?.postMessage(0);
  }
}

interface Job {
  readonly fd: number;
  readonly path: string;
  readonly offset: number;
  readonly parts: readonly Uint8Array[];
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The thread and the memory it shares with the loop. */
interface SyncThread {
  readonly worker: Worker;
  readonly control: Int32Array;
  readonly data: Uint8Array;
}

export class SyncWorker {
  readonly #queue: Job[] = [];
  #current: Job | undefined;
  #thread: SyncThread | undefined;
  #files = 0;

  /** Announces a file that may be written; the thread lives until as many are removed. */
  addFile(): void {
    this.#files++;
  }

  /** As `addFile`, and begins what takes a new thread 50 ms, so that the first write does not wait for it. */
  addFileSoonWritten(): void {
    this.#files++;
    this.#thread ??= this.#start();
  }

  removeFile(): void {
    this.#files--;
    this.#stopIfIdle();
  }

  /** Writes all parts at `offset`, then fdatasyncs. Rejects with `DiskError`. */
  async writeAndSync(fd: number, path: string, offset: number, parts: readonly Uint8Array[]): Promise<void> {
    const batches = batchesOf(parts);
    let at = offset;
    for (const [i, batch] of batches.entries()) {
      await this.#run({ fd, path, offset: at, parts: batch, sync: i === batches.length - 1 });
      at += totalSize(batch);
    }
  }

  #run(job: Omit<Job, "resolve" | "reject">): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...job, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const job = this.#queue.shift();
    if (job === undefined) return this.#stopIfIdle();
    this.#current = job;
    this.#thread ??= this.#start();
    const { control, data } = this.#thread;
    let length = 0;
    for (const part of job.parts) {
      data.set(part, length);
      length += part.length;
    }
    control[word.fd] = job.fd;
    control[word.length] = length;
    control[word.offsetLow] = job.offset % 2 ** 31;
    control[word.offsetHigh] = Math.floor(job.offset / 2 ** 31);
    control[word.sync] = job.sync ? 1 : 0;
    ring(control);
  }

  #finished(thread: SyncThread): void {
    const job = this.#current;
    this.#current = undefined;
    const errorLength = Atomics.load(thread.control, word.errorLength);
    if (errorLength === 0) job?.resolve();
    else {
      const [syscall = "write", code = "EIO"] = String.fromCharCode(...thread.data.subarray(0, errorLength)).split(" ");
      job?.reject(new DiskError(syscall, job.path, code));
    }
    this.#next();
  }

  #start(): SyncThread {
    const memory = new SharedArrayBuffer(dataOffset + dataBytesMax);
    const worker = new Worker(`(${runSyncWorker.toString()})()`, {
      eval: true,
      workerData: { memory, dataOffset, word },
    });
    const thread: SyncThread = {
      worker,
      control: new Int32Array(memory, 0, controlWords),
      data: new Uint8Array(memory, dataOffset),
    };
    worker.on("message", () => this.#finished(thread));
    worker.on("error", (cause) => this.#current?.reject(new DiskError("write", this.#current.path, "EIO", cause)));
    return thread;
  }

  #stopIfIdle(): void {
    if (this.#thread === undefined || this.#files > 0 || this.#current !== undefined) return;
    this.#thread.control[word.fd] = -1;
    ring(this.#thread.control);
    this.#thread = undefined;
  }
}

/** Wakes the thread: everything stored before is seen by it. */
function ring(control: Int32Array): void {
  Atomics.add(control, word.job, 1);
  Atomics.notify(control, word.job);
}

/** Splits the parts into runs that fit the shared memory; at least one, so that there is a sync. */
function batchesOf(parts: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  if (totalSize(parts) <= dataBytesMax) return [parts];
  return parts.flatMap((part) => {
    const pieces: Uint8Array[][] = [];
    for (let at = 0; at < part.length; at += dataBytesMax) pieces.push([part.subarray(at, at + dataBytesMax)]);
    return pieces;
  });
}

function totalSize(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
