// Compiles the contracts to artefacts/*.json; with --check it only compares and exits 1 on a difference.
//
// A node is built from the committed artefacts: no compiler is needed for that.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const solc = createRequire(import.meta.url)("solc");
const contracts = ["ChainLock", "DevToken", "WeirdToken"];

const settings = {
  viaIR: true,
  optimizer: { enabled: true, runs: 10000 },
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: {
    "*": {
      "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"],
    },
  },
};

/** Reads an import: one of ours, or from the pinned packages. */
function findImport(path) {
  const file = path.includes("/") ? join(here, "node_modules", path) : join(here, path);
  return existsSync(file) ? { contents: readFileSync(file, "utf8") } : { error: `${path} not found: run npm ci` };
}

/** The file a compiler message is about, without its ending. */
function basename(problem) {
  return (problem.sourceLocation?.file ?? "").replace(/\.sol$/, "");
}

/** JSON with one line per field and per ABI entry: small, and a change of the interface reads as a diff. */
function print(artefact) {
  const lines = Object.entries(artefact).map(([key, value]) => {
    const text = key === "abi" ? `[\n  ${value.map((it) => JSON.stringify(it)).join(",\n  ")}\n ]` : JSON.stringify(value);
    return ` ${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${lines.join(",\n")}\n}\n`;
}

function compile(name) {
  const source = readFileSync(join(here, `${name}.sol`), "utf8");
  const own = [...source.matchAll(/from "\.\/(\w+\.sol)"/g)].map((it) => readFileSync(join(here, it[1]), "utf8"));
  const input = { language: "Solidity", sources: { [`${name}.sol`]: { content: source } }, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const problems = output.errors ?? [];
  for (const it of problems) if (it.severity === "error" || contracts.includes(basename(it))) console.error(it.formattedMessage);
  if (problems.some((it) => it.severity === "error")) process.exit(1);
  const it = output.contracts[`${name}.sol`][name];
  const immutables = Object.values(it.evm.deployedBytecode.immutableReferences ?? {})
    .flat()
    .sort((a, b) => a.start - b.start);
  const { outputSelection, ...kept } = settings;
  return {
    contract: name,
    solc: solc.version(),
    settings: kept,
    sourceSha256: createHash("sha256").update([source, ...own].join("")).digest("hex"),
    abi: it.abi,
    bytecode: `0x${it.evm.bytecode.object}`,
    deployedBytecode: `0x${it.evm.deployedBytecode.object}`,
    immutables,
  };
}

const check = process.argv.includes("--check");
let stale = false;
mkdirSync(join(here, "artefacts"), { recursive: true });
for (const name of contracts) {
  const path = join(here, "artefacts", `${name}.json`);
  const text = print(compile(name));
  const same = existsSync(path) && readFileSync(path, "utf8") === text;
  if (check && !same) {
    console.error(`artefacts/${name}.json is not what ${name}.sol compiles to: run npm run build`);
    stale = true;
  }
  if (!check) writeFileSync(path, text);
  console.log(`${name}: ${same ? "unchanged" : check ? "STALE" : "written"}`);
}
process.exitCode = stale ? 1 : 0;
