#!/usr/bin/env node
// solc from npm (WebAssembly) behind the command line that forge and slither expect of a native compiler.
import { existsSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";

const contracts = dirname(dirname(fileURLToPath(import.meta.url)));
const solc = createRequire(join(contracts, "build.mjs"))("solc");

/** Writes all of it: `process.exit` after a plain write would cut a pipe at 64 KiB. */
function say(text) {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

function findImport(path) {
  const places = isAbsolute(path) ? [path] : [join(process.cwd(), path), join(contracts, path), join(contracts, "node_modules", path)];
  const file = places.find((it) => existsSync(it));
  return file ? { contents: readFileSync(file, "utf8") } : { error: `${path} not found` };
}

if (process.argv.includes("--version")) {
  const [version] = solc.version().split(".Emscripten");
  say(`solc, the solidity compiler commandline interface\nVersion: ${version}.Linux.g++\n`);
} else if (process.argv.includes("--standard-json")) {
  say(solc.compile(readFileSync(0, "utf8"), { import: findImport }));
} else {
  console.error("solc.mjs: only --version and --standard-json");
  process.exitCode = 2;
}
