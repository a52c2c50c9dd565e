/**
 * Chooses which of a peer's URLs to use: the same one until it fails, then the next.
 *
 * Source: etcd server/etcdserver/api/rafthttp/urlpick.go.
 */
export class UrlPicker {
  #urls: readonly string[];
  #picked = 0;

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  pick(): string {
    return this.#urls[this.#picked] ?? "";
  }

  /** Moves on, unless another failure of the same URL already did. */
  unreachable(url: string): void {
    if (url === this.pick() && this.#urls.length > 0) this.#picked = (this.#picked + 1) % this.#urls.length;
  }

  update(urls: readonly string[]): void {
    this.#urls = urls;
    this.#picked = 0;
  }
}
