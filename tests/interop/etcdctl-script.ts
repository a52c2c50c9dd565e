/**
 * What etcdctl is asked to do in the comparison: one long session, whose steps build on each other. Each part starts on
 * fresh servers. `$NAME` in an argument stands for what an earlier step captured.
 */

export interface Step {
  readonly args: readonly string[];
  readonly stdin?: string;
  /** The first group is kept under `name` for later steps. */
  readonly capture?: { readonly name: string; readonly pattern: RegExp };
  /** The command does not end by itself: while it runs the `during` steps are made, then it is interrupted. */
  readonly until?: { readonly output: RegExp; readonly during?: readonly (readonly string[])[] };
  /** Some etcdctl releases wait for ever here; to hang on both sides is equal too. */
  readonly mayHang?: true;
  /** How to read standard output before comparing. */
  readonly output?: "text" | "protobuf" | "ignored";
  /** Numbers in the output are raft's or sizes and say nothing. */
  readonly numbers?: "ignored";
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Part {
  readonly name: string;
  /** Further flags of the servers. */
  readonly flags?: readonly string[];
  readonly steps: readonly Step[];
}

/** A step from a command line without blanks in its words. */
function step(line: string, more: Omit<Step, "args"> = {}): Step {
  return { args: line.split(" "), ...more };
}

const formats = ["simple", "json", "fields", "table"];

/** The command in every output format. */
function inFormats(line: string, more: Omit<Step, "args"> = {}): Step[] {
  return [...formats.map((format) => step(`${line} -w ${format}`, more)), inProtobuf(line, more)];
}

function inProtobuf(line: string, more: Omit<Step, "args"> = {}): Step {
  return step(`${line} -w protobuf`, { ...more, output: "protobuf" });
}

function words(...args: string[]): Step {
  return { args };
}

function transaction(text: string, flags = ""): Step {
  return { args: ["txn", ...flags.split(" ").filter((flag) => flag !== "")], stdin: text };
}

const bigValue = "v".repeat(120_000);
const ranges = ["a", "a z", "a --prefix", "b --from-key", "--prefix -- ", "missing", "b c"];

const put: Part = {
  name: "put",
  steps: [
    step("put a 1"),
    ...inFormats("put a 2"),
    ...inFormats("put a 3 --prev-kv"),
    step("put new x --prev-kv"),
    step("put a --ignore-value"),
    step("put a 4 --ignore-value"),
    step("put missing --ignore-value"),
    step("put missing v --ignore-lease"),
    step("put b stdin-value"),
    step("put c", { stdin: "from standard input\nsecond line\n" }),
    step("put d", { stdin: "" }),
    words("put", "", "empty key"),
    words("put", "e", ""),
    step("put"),
    step("put one two three"),
    words("put", "key with blank", "välue ✓"),
    step("put big", { stdin: bigValue }),
    step("get big", {}),
    step("put toobig", { stdin: "v".repeat(1_600_000) }),
    step("put a v --lease=zz"),
    step("put a v --lease=123abc"),
    step("put a v --lease=0"),
    step("lease grant 500", { capture: { name: "LEASE", pattern: /lease ([0-9a-f]+) granted/ } }),
    step("put l 1 --lease=$LEASE"),
    step("put l 2 --ignore-lease"),
    step("put l 3 --lease=$LEASE --ignore-lease"),
    step("put l --lease=$LEASE --ignore-value"),
    ...inFormats("get l"),
    step("put -- -dash value"),
    step("put --hex q v"),
    step("put a v -w nonsense"),
    step("put a v --nonsense"),
    step("get --prefix -w fields --from-key"),
    words("get", "", "--prefix"),
  ],
};

const get: Part = {
  name: "get",
  steps: [
    ...["a", "aa", "ab", "b", "c", "d", "e"].map((key, i) => step(`put ${key} value-${9 - i}`)),
    step("put b again"),
    step("put b again2"),
    step("del e"),
    step("put d more"),
    ...ranges.flatMap((range) => inFormats(`get ${range}`.trimEnd())),
    words("get", "", "--prefix"),
    words("get", "", "--from-key"),
    words("get", ""),
    step("get"),
    step("get a b c"),
    step("get a --prefix --from-key"),
    step("get a z --prefix"),
    step("get a --from-key --limit=2 -w json"),
    step("get a --prefix --limit=1 -w fields"),
    step("get a --prefix --limit=-1"),
    ...["CREATE", "KEY", "MODIFY", "VALUE", "VERSION", "nonsense"].flatMap((sort) => [
      step(`get a --from-key --sort-by=${sort}`),
      step(`get a --from-key --sort-by=${sort} --order=ASCEND --limit=3 -w json`),
      step(`get a --from-key --sort-by=${sort} --order=DESCEND -w fields`),
    ]),
    step("get a --from-key --order=DESCEND"),
    step("get a --from-key --order=nonsense"),
    ...inFormats("get a --from-key --keys-only"),
    ...inFormats("get a --from-key --count-only"),
    step("get a --from-key --keys-only --count-only"),
    step("get a --print-value-only"),
    step("get a --from-key --print-value-only"),
    step("get a --print-value-only -w json"),
    step("get a --keys-only --print-value-only"),
    step("get a --hex"),
    step("get a --from-key --hex -w json"),
    step("get a --hex -w fields"),
    step("get b --consistency=l"),
    step("get b --consistency=s"),
    step("get b --consistency=x"),
    ...[1, 2, 3, 5, 9, 10, 11].map((revision) => step(`get a --from-key --rev=${revision} -w json`)),
    step("get a --rev=1000"),
    step("get a --rev=-5"),
    step("get a --from-key --min-mod-rev=4 --max-mod-rev=9 -w json"),
    step("get a --from-key --min-create-rev=4 --max-create-rev=6 -w json"),
    step("get a --from-key --min-mod-rev=9 --limit=1 -w fields"),
    step("get a --from-key --max-mod-rev=5 --count-only -w json"),
    step("get a --from-key --stream"),
    step("get a --from-key --stream -w json"),
    step("get a --prefix --stream --limit=1 -w json"),
    step("get a --stream --sort-by=VALUE --order=DESCEND --from-key"),
    step("get a --stream --rev=1000"),
    step("get a", { environment: { ETCDCTL_WRITE_OUT: "json", ETCDCTL_HEX: "true" } }),
    ...Array.from({ length: 30 }, (_, i) => step(`put many/${String(i).padStart(3, "0")} ${i}`)),
    step("get many/ --prefix --limit=11 -w fields"),
    step("get many/ --prefix --stream -w json"),
    step("get many/ --prefix --count-only --stream -w fields"),
  ],
};

const del: Part = {
  name: "del",
  steps: [
    ...["a", "aa", "ab", "b", "c", "d", "e", "f"].map((key) => step(`put ${key} v-${key}`)),
    step("del a"),
    step("del a"),
    ...inFormats("del missing"),
    step("del b --prev-kv"),
    step("del a --prefix --prev-kv -w json"),
    step("del c --prev-kv -w fields"),
    step("del d e --range"),
    step("del e f"),
    step("put x 1"),
    inProtobuf("del x --prev-kv"),
    step("put x 1"),
    step("del x --prev-kv -w table"),
    step("put y 1"),
    step("del x --from-key"),
    step("del"),
    words("del", ""),
    step("del a --prefix --from-key"),
    step("del a b --prefix"),
    step("put z 1"),
    words("del", "", "--prefix"),
    words("get", "", "--prefix", "-w", "json"),
    step("endpoint hashkv"),
  ],
};

const compares = [
  'mod("k") = "2"',
  'mod("k") > "1"',
  'mod("k") < "2"',
  'mod("k") != "2"',
  'create("k") = "2"',
  'create("missing") = "0"',
  'version("k") > "0"',
  'ver("k") > "0"',
  'value("k") = "v"',
  'val("k") > "u"',
  'value("missing") = ""',
  'lease("k") = "0"',
  'lease("k") = "12"',
  'nonsense("k") = "1"',
  'mod("k") ~ "1"',
  'mod("k") = "abc"',
  "mod(k) = 2",
  "garbage",
];

const txn: Part = {
  name: "txn",
  flags: ["--max-txn-ops", "16"],
  steps: [
    step("put k v"),
    ...compares.map((compare) => transaction(`${compare}\n\nget k\n\nget other\n\n`)),
    ...compares.slice(0, 3).map((compare) => transaction(`${compare}\n\nget k\n\nget other\n\n`, "--interactive")),
    transaction('mod("k") > "0"\nvalue("k") = "v"\n\nput k 2\nput k2 3\n\ndel k\n\n'),
    transaction('mod("k") > "1000"\n\nput k 2\n\ndel k\nget k\nput j 1\n\n'),
    ...formats.map((format) =>
      transaction('value("j") = "1"\n\nput j 1\nget j\ndel nothing\n\nget k\n\n', `-w ${format}`),
    ),
    { ...transaction('value("j") = "1"\n\nput j 1\nget j\n\nget k\n\n', "-w protobuf"), output: "protobuf" },
    transaction("\nput same 1\nput same 2\n\n\n"),
    transaction("\nput same 1\ndel same\n\n\n"),
    transaction("\ndel same --prefix\nput same2 2\n\n\n"),
    transaction("\nput same 1\nget same\n\n\n"),
    transaction(`\n${Array.from({ length: 16 }, (_, i) => `put n${i} 1`).join("\n")}\n\n\n`),
    transaction(`\n${Array.from({ length: 17 }, (_, i) => `put n${i} 1`).join("\n")}\n\n\n`),
    transaction("\n\n\n"),
    transaction('\nput p "quoted value" --prev-kv\nget p --rev=1\n\n\n'),
    transaction("\nget k --rev=9999\n\n\n"),
    transaction("\nget k --prefix --limit=1 --keys-only\nget k --count-only --prefix\n\n\n"),
    transaction("\nput \n\n\n"),
    transaction("\nnonsense k\n\n\n"),
    transaction('\nput "" v\n\n\n'),
    transaction("\nput m v --lease=77\n\n\n"),
    transaction("\nput missing --ignore-value\n\n\n"),
    words("get", "", "--prefix", "-w", "json"),
    step("txn extra"),
    step("endpoint hashkv"),
  ],
};

const watch: Part = {
  name: "watch",
  steps: [
    step("put a 1"),
    step("put a 2"),
    step("put aa 3"),
    step("del a"),
    step("put b 4"),
    ...["simple", "json", "fields"].map((format) =>
      step(`watch a --rev=1 -w ${format}`, { until: { output: /DELETE|"type":1|"Type" : "DELETE"/i } }),
    ),
    step("watch a --rev=1 -w table", { until: { output: /not supported|DELETE/ } }),
    step("watch a --prefix --rev=2", { until: { output: /DELETE/ } }),
    step("watch a --prefix --prev-kv --rev=2", { until: { output: /DELETE/ } }),
    step("watch a --prev-kv --rev=3 -w json", { until: { output: /"type":1/ } }),
    step("watch a c --rev=2", { until: { output: /b\n4\n/ } }),
    step("watch b --rev=100", {
      until: {
        output: /later/,
        during: Array.from({ length: 100 - 6 }, (_, i) => ["put", "b", i < 93 ? "x" : "later"]),
      },
    }),
    step("watch live --prev-kv", {
      until: {
        output: /DELETE/,
        during: [
          ["put", "live", "1"],
          ["put", "live", "2"],
          ["del", "live"],
        ],
      },
    }),
    step("watch live --prefix -w json", {
      until: {
        output: /"type":1/,
        during: [
          ["put", "live1", "1"],
          ["put", "live2", "2"],
          ["del", "live2"],
        ],
      },
    }),
    step("watch ex --rev=107 -- sh -c env|grep^ETCD_WATCH_KEY", {
      until: { output: /never|fork/, during: [["put", "ex", "1"]] },
    }),
    { args: ["watch", "--interactive"], stdin: "watch a --rev=2\n", until: { output: /DELETE/ } },
    { args: ["watch", "-i"], stdin: "watch a --rev=2 --prefix\nnonsense\nwatch\n", until: { output: /DELETE/ } },
    step("watch", { mayHang: true }),
    { ...words("watch", ""), mayHang: true },
    step("watch a b c", { mayHang: true }),
    step("watch a b --prefix"),
    step("compaction 5"),
    step("watch a --rev=2"),
    step("watch a --rev=2 -w json"),
    step("watch a --rev=-1"),
    step("watch a --rev=5", { until: { output: /DELETE/ } }),
  ],
};

const leases: Part = {
  name: "lease",
  steps: [
    step("lease list"),
    step("lease grant 500", { capture: { name: "L1", pattern: /lease ([0-9a-f]+) granted/ } }),
    ...inFormats("lease grant 600").slice(1, 3),
    step("lease grant 0"),
    step("lease grant -- -5"),
    step("lease grant abc"),
    step("lease grant"),
    step("lease grant 9000000001"),
    step("put a 1 --lease=$L1"),
    step("put b 2 --lease=$L1"),
    ...formats
      .slice(0, 3)
      .flatMap((format) => [
        step(`lease timetolive $L1 -w ${format}`),
        step(`lease timetolive $L1 --keys -w ${format}`),
        step(`lease keep-alive --once $L1 -w ${format}`),
      ]),
    step("lease timetolive $L1 -w table"),
    step("put b 3"),
    step("lease timetolive $L1 --keys"),
    step("lease timetolive deadbeef"),
    step("lease timetolive deadbeef -w json"),
    step("lease timetolive zz"),
    step("lease keep-alive --once deadbeef"),
    step("lease keep-alive"),
    step("lease revoke deadbeef"),
    step("lease revoke zz"),
    step("lease revoke"),
    step("lease revoke $L1"),
    step("lease revoke $L1"),
    step("lease timetolive $L1"),
    words("get", "", "--prefix", "-w", "json"),
    step("put c 1 --lease=$L1"),
    step("lease nonsense"),
  ],
};

const maintenance: Part = {
  name: "maintenance",
  steps: [
    ...Array.from({ length: 12 }, (_, i) => step(`put k${i % 4} ${i}`)),
    step("endpoint hashkv"),
    step("endpoint hashkv --rev=5"),
    step("endpoint hashkv --rev=500"),
    ...["json", "table", "fields"].map((format) => step(`endpoint hashkv -w ${format}`, { numbers: "ignored" })),
    step("compaction 0"),
    step("compaction -- -1"),
    step("compaction abc"),
    step("compaction"),
    step("compaction 1000"),
    step("compaction 5"),
    step("compaction 5"),
    step("compaction 3"),
    step("compaction 8 --physical"),
    step("compaction 7 --physical"),
    step("get k0 --rev=4"),
    step("get k0 --rev=8 -w json"),
    step("get k0 --rev=9 -w json"),
    step("endpoint hashkv"),
    step("endpoint hashkv --rev=7"),
    step("endpoint hashkv --rev=10"),
    ...["simple", "json", "fields", "table"].flatMap((format) => [
      step(`endpoint status -w ${format}`, { numbers: "ignored" }),
      step(`endpoint health -w ${format}`, { numbers: "ignored" }),
      step(`member list -w ${format}`),
      step(`alarm list -w ${format}`),
      step(`alarm disarm -w ${format}`),
    ]),
    step("endpoint status --cluster", { numbers: "ignored" }),
    step("endpoint health --cluster", { numbers: "ignored" }),
    step("endpoint nonsense"),
    step("member list --consistency=s"),
    step("member list --hex -w json"),
    step("member add x"),
    step("member add x --peer-urls="),
    step("member add x --peer-urls=nonsense"),
    step("member add x --peer-urls=http://localhost"),
    step("member remove zz"),
    step("member remove deadbeef"),
    step("member update deadbeef --peer-urls=http://127.0.0.1:1"),
    step("member update deadbeef"),
    step("member promote deadbeef"),
    step("member promote"),
    step("move-leader"),
    step("move-leader zz"),
    step("move-leader deadbeef"),
    step("defrag"),
    step("defrag --cluster"),
    step("downgrade validate 3.6"),
    step("downgrade validate 3.5"),
    step("downgrade validate nonsense"),
    step("downgrade enable 3.7"),
    step("downgrade cancel"),
    step("downgrade"),
    step("version"),
    step("snapshot save"),
    step("snapshot save $DIRECTORY/snapshot.db", { output: "ignored" }),
    step("nonsense"),
    step("get k0 --command-timeout=nonsense"),
    step("get k0 --endpoints=127.0.0.1:1 --command-timeout=300ms --dial-timeout=200ms", { numbers: "ignored" }),
  ],
};

const coordination: Part = {
  name: "lock and elect",
  steps: [
    { args: ["lock", "l", "echo", "locked"] },
    { args: ["lock", "l", "false"] },
    { args: ["lock", "l", "sh", "-c", "exit 7"] },
    { args: ["lock", "l", "sh", "-c", "echo $ETCD_LOCK_KEY"] },
    { args: ["lock", "l", "--ttl=5", "echo", "locked"] },
    step("lock"),
    step("lock l --ttl=0 echo x"),
    step("lock l", { until: { output: /l\/[0-9a-f]+/ } }),
    step("elect e value", { until: { output: /value/ } }),
    step("elect e"),
    step("elect e --listen", { until: { output: /value2/, during: [["put", "e/1", "value2"]] } }),
    words("get", "", "--prefix", "-w", "json"),
    step("lease list"),
  ],
};

const auth: Part = {
  name: "auth",
  steps: [
    step("auth status"),
    step("auth status -w json"),
    step("auth enable"),
    step("role add reader"),
    step("role add reader"),
    step("role add root"),
    step("role grant-permission reader read a z"),
    step("role grant-permission reader readwrite p --prefix"),
    step("role grant-permission reader nonsense a"),
    step("role grant-permission missing read a"),
    step("role get reader"),
    step("role get reader -w json"),
    step("role get reader -w fields"),
    step("role get missing"),
    step("role list"),
    step("role list -w json"),
    step("user add root:pw"),
    step("user add root:pw"),
    step("user add u:secret"),
    step("user add nopw --no-password"),
    words("user", "add", ":pw"),
    step("user add i --interactive=false", { stdin: "secret\n" }),
    step("user grant-role root root"),
    step("user grant-role u reader"),
    step("user grant-role u missing"),
    step("user grant-role missing reader"),
    step("user get u"),
    step("user get u --detail"),
    step("user get u -w json"),
    step("user get missing"),
    step("user list"),
    step("put a 1"),
    step("auth enable"),
    step("auth enable"),
    step("auth status"),
    step("get a"),
    step("get a --user=u:wrong"),
    step("get a --user=missing:pw"),
    step("get a --user=u:secret"),
    step("put a 2 --user=u:secret"),
    step("put pp 2 --user=u:secret"),
    step("get pp --prefix --user=u:secret"),
    step("get o --prefix --user=u:secret"),
    step("get a --from-key --user=u:secret"),
    step("del pp --user=u:secret -w json"),
    step("user list --user=u:secret"),
    step("user get u --user=u:secret"),
    step("role get reader --user=u:secret"),
    step("compaction 2 --user=u:secret"),
    step("member list --user=u:secret"),
    step("endpoint status --user=u:secret", { numbers: "ignored" }),
    step("lease grant 60 --user=u:secret", { capture: { name: "L", pattern: /lease ([0-9a-f]+) granted/ } }),
    step("put pl 1 --lease=$L --user=u:secret"),
    step("lease timetolive $L --keys --user=u:secret"),
    step("lease revoke $L --user=nopw:x"),
    step("lease revoke $L --user=u:secret"),
    step("watch a --rev=1 --user=u:secret", { until: { output: /a\n1\n/ } }),
    step("watch o --rev=1 --user=u:secret", { mayHang: true }),
    { ...step("txn --user=u:secret"), stdin: "\nput pt 1\nget a\n\n\n" },
    { ...step("txn --user=u:secret"), stdin: "\nput a 1\n\n\n" },
    step("user passwd u --interactive=false --user=root:pw", { stdin: "changed\n" }),
    step("get a --user=u:secret"),
    step("get a --user=u:changed"),
    step("role revoke-permission reader a z --user=root:pw"),
    step("role revoke-permission reader a z --user=root:pw"),
    step("role revoke-permission reader p --prefix --user=root:pw"),
    step("get a --user=u:changed"),
    step("user revoke-role u reader --user=root:pw"),
    step("user revoke-role u reader --user=root:pw"),
    step("user revoke-role root root --user=root:pw"),
    step("user delete root --user=root:pw"),
    step("role delete root --user=root:pw"),
    step("user delete u --user=root:pw"),
    step("role delete reader --user=root:pw"),
    step("auth status --user=root:pw -w json"),
    step("auth disable --user=root:pw"),
    step("auth disable"),
    words("get", "", "--prefix", "-w", "json"),
    step("endpoint hashkv"),
  ],
};

export const parts: readonly Part[] = [put, get, del, txn, watch, leases, maintenance, coordination, auth];
