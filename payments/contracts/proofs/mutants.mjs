// Changes the contract in one place at a time and asks the tests whether they notice.
//   node mutants.mjs [--list] [--every N] [--out FILE]
//
// A mutant is the source with one operator's change on one line, compiled without the optimiser (the tests
// do not care) and handed to `forge test` as the bytes to try. It is killed when a test fails. Mutants that
// do not compile, or compile to the same bytes, are none. Survivors that cannot be told from the contract by
// any call are listed in mutants.json with their reason; every other survivor is a hole in the tests.
//
// What became of each is a line of out/mutants.done, by the hash of all that it depends on: what is cut short goes on
// from there, and a changed test or contract is tried anew.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const contracts = dirname(here);
const solc = createRequire(join(contracts, "build.mjs"))("solc");
// The platform's binary itself: the package's wrapper ends with 0 whatever forge ended with.
const packages = join(here, "node_modules/@foundry-rs");
const forge = join(packages, readdirSync(packages).find((it) => it.startsWith("forge-")), "bin/forge");
const source = readFileSync(join(contracts, "ChainLock.sol"), "utf8");

/** [name, pattern, replacements]: every match of the pattern on a line of code is replaced, one at a time. */
const operators = [
  ["compare", / < (?!<)/, [" <= ", " >= "]],
  ["compare", / > (?!>)/, [" >= ", " <= "]],
  ["compare", / <= /, [" < "]],
  ["compare", / >= /, [" > "]],
  ["compare", / == /, [" != "]],
  ["compare", / != /, [" == "]],
  ["compare", /\bgt\(k, 7\)/, ["gt(k, 8)", "lt(k, 7)"]],
  ["logic", / && /, [" || "]],
  ["logic", / \|\| /, [" && "]],
  ["arithmetic", / \+ /, [" - "]],
  ["arithmetic", / - /, [" + "]],
  ["arithmetic", / \* /, [" + "]],
  ["arithmetic", / \+= /, [" = ", " -= "]],
  ["arithmetic", / \| /, [" & "]],
  ["arithmetic", /\bsub\(k, (\d)\)/, ["sub(k, 2)"]],
  ["constant", /\b96\b(?!\()/, ["95", "97"]],
  ["constant", /\b192\b/, ["191", "208"]],
  ["constant", /\b240\b/, ["239", "241"]],
  ["constant", /\b1 hours\b/, ["2 hours", "0 hours"]],
  ["constant", /\b30 days\b/, ["31 days", "29 days"]],
  ["constant", /MAX_LOCKS = 16/, ["MAX_LOCKS = 15", "MAX_LOCKS = 17"]],
  ["constant", /OPEN = 1\b/, ["OPEN = 3"]],
  ["constant", /CLOSED = 2\b/, ["CLOSED = 0", "CLOSED = 1"]],
  ["constant", /0x80\)/, ["0x60)"]],
  ["constant", /0xc0\)/, ["0xa0)"]],
  ["constant", /bytes32\(0\)/, ["bytes32(uint256(1))"]],
  ["constant", /"1"\)/, ['"2")']],
  ["constant", /uint64 seq/, ["uint32 seq"]],
  ["constant", /uint48 notAfter\)"/, ['uint64 notAfter)"']],
  ["constant", /type\(uint96\)\.max/, ["type(uint128).max"]],
  ["constant", /return false;/, ["return true;"]],
  ["constant", /return true;/, ["return false;"]],
  ["party", /\bp\.payer\b/, ["p.payee"]],
  ["party", /\bp\.payee\b/, ["p.payer"]],
  ["party", /\bmsg\.sender\b/, ["tx.origin", "address(this)"]],
  ["party", /\b_deposit\(word\)/, ["_claimed(word)"]],
  ["party", /\b_claimed\(word\)/, ["_deposit(word)"]],
  ["party", /block\.timestamp/, ["block.number"]],
  ["party", /block\.chainid|chainid\(\)/, ["31337"]],
  ["party", /\(to, amount\)/, ["(msg.sender, amount)"]],
  ["guard", /^(\s*)(if \(.*\) )?revert .*$/, ["$1"]],
  ["guard", / nonReentrant/, [""]],
  ["write", /^(\s*)(if \(.*\) )?_(credit|debit|spend|pull|close|pay|topUp|checkSigner)\(.*\);$/, ["$1"]],
  ["write", /^(\s*)(_channels|_accounts)\[.*\] = .*;.*$/, ["$1"]],
  ["write", /^(\s*)token\.safeTransfer.*$/, ["$1"]],
  ["write", /^(\s*)(word|sum|next|total|current) (\+?=) .*;.*$/, ["$1"]],
  ["write", /^(\s*)if \(.*\) (total|current) = .*;$/, ["$1"]],
  ["write", /^(\s*)mstore\(0x00, keccak256\(0x00, 0x20\)\)$/, ["$1"]],
  ["event", /^(\s*)emit .*;$/, ["$1"]],
];

/** The code of a line: no comment. */
const code = (line) => line.replace(/\s*\/\/.*$/, "");

function mutants() {
  const lines = source.split("\n");
  const body = lines.findIndex((it) => it.startsWith("contract "));
  const found = [];
  const seen = new Set();
  lines.forEach((line, at) => {
    const text = code(line);
    if (at <= body || !text.trim() || text.includes("import ")) return;
    for (const [kind, pattern, replacements] of operators) {
      for (const hit of text.matchAll(new RegExp(pattern.source, "g" + pattern.flags))) {
        for (const replacement of replacements) {
          const piece = hit[0].replace(pattern.source.includes("^") ? new RegExp(pattern.source) : hit[0], replacement);
          const changed = text.slice(0, hit.index) + piece + text.slice(hit.index + hit[0].length);
          if (changed === text || seen.has(`${at}:${changed}`)) continue;
          seen.add(`${at}:${changed}`);
          const whole = [...lines.slice(0, at), changed, ...lines.slice(at + 1)].join("\n");
          found.push({ line: at + 1, kind, from: text.trim(), to: changed.trim(), whole });
        }
      }
    }
  });
  return found;
}

function findImport(path) {
  const file = path.includes("/") ? join(contracts, "node_modules", path) : join(contracts, path);
  return existsSync(file) ? { contents: readFileSync(file, "utf8") } : { error: `${path} not found` };
}

/** Its bytes, or null where it does not compile. */
function compile(text) {
  const settings = { evmVersion: "cancun", metadata: { bytecodeHash: "none", appendCBOR: false } };
  settings.outputSelection = { "ChainLock.sol": { ChainLock: ["evm.bytecode.object"] } };
  const input = { language: "Solidity", sources: { "ChainLock.sol": { content: text } }, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  return output.contracts?.["ChainLock.sol"]?.ChainLock?.evm.bytecode.object || null;
}

/** What is run, one after the other: fuzz runs, and contracts of tests to leave out; and the most it may take. */
const rounds = [
  { runs: 16, without: "InvariantsTest", limit: 600_000 },
  { runs: 64, without: "(PotTest|ChannelTest|ClaimTest)", limit: 600_000 },
];

/** The first test that failed: it is named in the same line, and an invariant after the calls that broke it. */
function failed(said) {
  const [, here, below] = /^\[FAIL.*\] (\w+)|^\[FAIL.*\]\n(?:\t.*\n)* (\w+)\(\)/m.exec(said) ?? [];
  return here ?? below;
}

/** The first test that fails on these bytes, or null where none does. */
function killer(bytes, { runs, without, limit }) {
  const file = join(here, "out/mutant.json");
  writeFileSync(file, JSON.stringify({ bytecode: `0x${bytes}` }));
  const env = { ...process.env, CHAINLOCK: "out/mutant.json", FOUNDRY_FUZZ_RUNS: `${runs}`, FOUNDRY_INVARIANT_RUNS: "4" };
  const run = spawnSync(forge, ["test", "--fail-fast", "--no-match-contract", without], { cwd: here, env, encoding: "utf8", timeout: limit });
  if (run.status === 0) return null;
  const test = failed(run.stdout);
  if (test) return test;
  if (run.error?.code === "ETIMEDOUT") return "time limit"; // A loop that does not end.
  throw new Error(`no test ran: ${run.stderr.slice(-500)}`);
}

const option = (name) => process.argv[process.argv.indexOf(name) + 1];
const every = process.argv.includes("--every") ? Number(option("--every")) : 1;
const all = mutants().filter((_, at) => at % every === 0);
if (process.argv.includes("--list")) {
  for (const it of all) console.log(`${it.line} ${it.kind}: ${it.from}\n    ${it.to}`);
  console.log(`${all.length} mutants before compiling`);
  process.exit(0);
}

mkdirSync(join(here, "out"), { recursive: true });
const book = join(here, "out/mutants.done");
const known = new Map(
  (existsSync(book) ? readFileSync(book, "utf8") : "").split("\n").flatMap((line) => {
    const [key, fate, end] = line.split("\t"); // A line that was cut short has no end.
    return end === "." ? [[key, fate]] : [];
  }),
);
/** All that a fate depends on, besides the mutant itself: this program, the tests, their settings and the tools. */
const judges = createHash("sha256");
const tests = readdirSync(join(here, "test")).sort().map((it) => `test/${it}`);
for (const file of ["mutants.mjs", "foundry.toml", "package-lock.json", "../package-lock.json", ...tests]) {
  judges.update(readFileSync(join(here, file)));
}

/** What the tests make of a changed source: `none` where it is no mutant, `survived`, or the test that failed. */
function fate(whole) {
  const key = judges.copy().update(whole).digest("hex");
  const before = known.get(key);
  if (before) return before;
  const bytes = compile(whole);
  const none = bytes === null || bytes === plain;
  const now = none ? "none" : (killer(bytes, rounds[0]) ?? killer(bytes, rounds[1]) ?? "survived");
  appendFileSync(book, `${key}\t${now}\t.\n`);
  return now;
}

const plain = compile(source);
for (const round of rounds) {
  const begun = Date.now();
  const first = killer(plain, round);
  if (first) throw new Error(`the contract itself fails ${first}`);
  // Only what takes many times as long as the contract itself does not end; a busy machine kills no mutant.
  round.limit = Math.max(120_000, 20 * (Date.now() - begun));
}
const explained = JSON.parse(readFileSync(join(here, "mutants.json"), "utf8"));
const counts = { tried: 0, killed: 0, none: 0, explained: 0 };
const survivors = [];
const kinds = {};
const killers = {};
let told = Date.now();
for (const [at, it] of all.entries()) {
  const by = fate(it.whole);
  if (Date.now() - told > 15_000) {
    told = Date.now();
    console.log(`   ${at + 1} of ${all.length} changes; ${counts.killed} of ${counts.tried} mutants killed`);
  }
  if (by === "none") {
    counts.none += 1;
    continue;
  }
  counts.tried += 1;
  const kind = (kinds[it.kind] ??= { tried: 0, killed: 0 });
  kind.tried += 1;
  if (by !== "survived") {
    counts.killed += 1;
    kind.killed += 1;
    killers[by] = (killers[by] ?? 0) + 1;
    continue;
  }
  const reason = explained.find((other) => other.from === it.from && other.to === it.to)?.why;
  if (reason) counts.explained += 1;
  survivors.push({ ...it, whole: undefined, reason });
  console.log(`SURVIVED line ${it.line} ${it.kind}: ${it.from}\n    ${it.to}\n    ${reason ?? "NOT EXPLAINED"}`);
}
for (const [kind, it] of Object.entries(kinds)) console.log(`${kind.padEnd(12)} ${it.killed} of ${it.tried}`);
const share = (100 * counts.killed) / counts.tried;
console.log(`mutants: ${counts.killed} of ${counts.tried} killed (${share.toFixed(1)} %), ${survivors.length} survived, ${counts.explained} of them explained`);
if (process.argv.includes("--out")) writeFileSync(option("--out"), JSON.stringify({ ...counts, killers, survivors }, null, 1));
process.exitCode = share >= 90 && survivors.length === counts.explained ? 0 : 1;
