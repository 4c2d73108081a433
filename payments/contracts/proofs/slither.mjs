// Runs slither on the contract and demands that every finding of high or medium impact is explained in
// slither.json, and that nothing is explained that is not found.
//   node slither.mjs SLITHER OUT       OUT: where the counts go, as JSON
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const contracts = dirname(here);
const [slither, out] = process.argv.slice(2);

mkdirSync(join(here, "out"), { recursive: true });
const [input, report] = [join(here, "out/slither-input.json"), join(here, "out/slither-report.json")];
rmSync(report, { force: true });
const { settings } = JSON.parse(readFileSync(join(contracts, "artefacts/ChainLock.json"), "utf8"));
settings.outputSelection = { "*": { "*": ["abi", "evm.bytecode", "evm.deployedBytecode", "evm.methodIdentifiers", "userdoc", "devdoc"], "": ["ast"] } };
const sources = { "ChainLock.sol": { content: readFileSync(join(contracts, "ChainLock.sol"), "utf8") } };
writeFileSync(input, JSON.stringify({ language: "Solidity", sources, settings }));
const run = spawnSync(slither, [input, "--compile-force-framework", "solc-json", "--solc", "proofs/solc.mjs", "--json", report], {
  cwd: contracts,
  encoding: "utf8",
  timeout: 600_000,
});
let found;
try {
  const answer = JSON.parse(readFileSync(report, "utf8"));
  if (!answer.success) throw new Error(answer.error);
  found = answer.results.detectors ?? [];
} catch (error) {
  console.log(`not ok slither did not run: ${error.message}\n${run.stderr?.slice(-2000)}`);
  process.exit(1);
}

const explained = JSON.parse(readFileSync(join(here, "slither.json"), "utf8"));
const counts = {};
const used = new Set();
let open = 0;
for (const it of found) {
  counts[it.impact] = (counts[it.impact] ?? 0) + 1;
  if (it.impact !== "High" && it.impact !== "Medium") continue;
  const [element] = it.elements;
  const where = `${element.type_specific_fields?.parent?.name ?? ""}.${element.name}`;
  const known = explained.find((other) => other.check === it.check && other.where === where);
  if (known) used.add(known);
  else {
    open += 1;
    console.log(`not ok slither ${it.impact} ${it.check} in ${where}: ${it.description.split("\n")[0]}`);
  }
}
for (const it of used) console.log(`explained: ${it.check} in ${it.where}: ${it.why}`);
const stale = explained.filter((it) => !used.has(it));
for (const it of stale) console.log(`not ok slither.json explains what is not found: ${it.check} in ${it.where}`);
console.log(`slither: ${["High", "Medium", "Low", "Informational"].map((it) => `${counts[it] ?? 0} ${it.toLowerCase()}`).join(", ")}; ${open} high or medium unexplained`);
if (!open && !stale.length) console.log("ok slither finds nothing high or medium that is not explained");
writeFileSync(out, JSON.stringify({ ...counts, open }));
process.exitCode = open + stale.length ? 1 : 0;
