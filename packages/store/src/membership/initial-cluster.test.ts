import { describe, expect, it } from "vitest";
import { formatInitialCluster, hasDuplicateUrls, initialMembers, parseInitialCluster } from "./initial-cluster.js";
import { parseUrls } from "./urls.js";

function parsed(text: string): Record<string, readonly string[]> | string {
  const result = parseInitialCluster(text);
  return result.kind === "valid" ? Object.fromEntries(result.cluster) : result.message;
}

describe("parseInitialCluster", () => {
  it("collects the URLs of a repeated name, sorted", () => {
    expect(parsed("a=http://h:2,b=http://h:3,a=http://h:1,")).toEqual({
      a: ["http://h:1", "http://h:2"],
      b: ["http://h:3"],
    });
    expect(parsed("")).toEqual({});
  });

  it("refuses names without URL and URLs that are none", () => {
    expect(parsed("a")).toBe('empty URL given for "a"');
    expect(parsed("a=")).toBe('empty URL given for "a"');
    expect(parsed("a=h:1")).toContain("URL scheme must be");
    expect(parsed("a=http://h:1,a=")).toContain("URL scheme must be");
  });

  it("is printed sorted", () => {
    const result = parseInitialCluster("b=http://h:3,a=http://h:2,a=http://h:1");
    if (result.kind === "invalid") throw new Error(result.message);
    expect(formatInitialCluster(result.cluster)).toBe("a=http://h:1,a=http://h:2,b=http://h:3");
    expect(hasDuplicateUrls(result.cluster)).toBe(false);
    expect(
      hasDuplicateUrls(
        new Map([
          ["a", ["http://h:1"]],
          ["b", ["http://h:1"]],
        ]),
      ),
    ).toBe(true);
  });

  it("refuses members whose ids collide or are 0", () => {
    const cluster = new Map([
      ["a", ["http://h:1"]],
      ["b", ["http://h:2"]],
    ]);
    expect(initialMembers(() => new Uint8Array(20).fill(1), cluster, "t")).toEqual({
      kind: "invalid",
      message: "member exists with identical ID 101010101010101",
    });
    expect(initialMembers(() => new Uint8Array(20), new Map([["a", ["http://h:1"]]]), "t").kind).toBe("invalid");
  });
});

describe("parseUrls", () => {
  it("takes http and https with host and port, and any unix URL", () => {
    const urls = [" https://b.example:2380 ", "HTTP://[::1]:80", "http://:2380", "unix://a/b:0", "unixs://localhost:1"];
    expect(parseUrls(urls)).toEqual({
      kind: "valid",
      urls: ["http://:2380", "http://[::1]:80", "https://b.example:2380", "unix://a/b:0", "unixs://localhost:1"],
    });
  });

  it.each([
    [[], "no valid URLs given"],
    [["ftp://h:1"], "URL scheme must be http, https, unix, or unixs: ftp://h:1"],
    [["//h:1"], "URL scheme must be"],
    [["http://h"], 'URL address does not have the form "host:port": http://h'],
    [["http://::1:80"], "host:port"],
    [["http://h:port"], 'parse "http://h:port": invalid port ":port" after host'],
    [["http://h:1/"], "URL must not contain a path: http://h:1/"],
    [["http://h:1/path"], "URL must not contain a path"],
    [["http://é:1"], "invalid character"],
    [["http://a b:1"], "invalid character"],
  ])("refuses %j", (urls, message) => {
    const result = parseUrls(urls);
    expect(result.kind === "invalid" && result.message).toContain(message);
  });
});
