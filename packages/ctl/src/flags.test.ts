import { describe, expect, it } from "vitest";
import { flag, intFlag, stringFlag } from "./command.js";
import { FlagError, HelpRequest, parseFlags } from "./flags.js";
import { splitWords } from "./words.js";

const specs = [
  flag("prefix", ""),
  { ...flag("interactive", "", { default: "true" }), short: "i" },
  { ...stringFlag("write-out", "", "simple"), short: "w" },
  intFlag("limit", ""),
  { name: "endpoints", type: "strings", default: "", help: "" } as const,
];

describe("flags", () => {
  it("stand anywhere, with or without an equals sign", () => {
    const { values, args } = parseFlags(specs, ["a", "--prefix", "--limit", "3", "b", "-w", "json", "-i=false"]);
    expect(args).toEqual(["a", "b"]);
    expect([values.bool("prefix"), values.number("limit"), values.string("write-out")]).toEqual([true, 3, "json"]);
    expect(values.bool("interactive")).toBe(false);
    expect(parseFlags(specs, ["-wjson", "--prefix=false"]).values.string("write-out")).toBe("json");
  });

  it("end at two dashes", () => {
    const { args, argsBeforeDash } = parseFlags(specs, ["k", "--", "--prefix", "-x"]);
    expect([args, argsBeforeDash]).toEqual([["k", "--prefix", "-x"], 1]);
  });

  it("gather lists", () => {
    const { values } = parseFlags(specs, ["--endpoints=a,b", "--endpoints", "c"]);
    expect(values.strings("endpoints")).toEqual(["a", "b", "c"]);
  });

  it.each([
    [["--nope"], "unknown flag: --nope"],
    [["-z"], "unknown shorthand flag: 'z' in -z"],
    [["--limit"], "flag needs an argument: --limit"],
    [["--limit=x"], 'invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  ])("%j are refused as Go does", (argv, message) => {
    expect(() => parseFlags(specs, argv)).toThrow(new FlagError(message));
  });

  it("ask for help", () => {
    expect(() => parseFlags(specs, ["-h"])).toThrow(HelpRequest);
    expect(() => parseFlags(specs, ["a", "--help"])).toThrow(HelpRequest);
  });
});

it("splits a line into words", () => {
  expect(splitWords(`put "a b" 'c "d"' e\\f "g\\"h" --x=1`)).toEqual(["put", "a b", 'c "d"', "e\\f", 'g"h', "--x=1"]);
});
