// Installs each packed package alone in an empty folder with npm, runs its README example there with plain Node,
// and prints the installed size. Third-party dependencies come from the npm registry.
// `node scripts/packed.mjs core wal` does it for those alone.
import { lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fencesOf, printedBy } from "./lib/fences.mjs";
import { packAll } from "./lib/pack.mjs";
import { importsOf } from "./lib/picture.mjs";
import { mustRun } from "./lib/run.mjs";

const npm = process.platform === "win32" ? "npm.cmd" : "npm";
const packed = new Map((await packAll()).map((one) => [one.name, one]));

console.log("package".padEnd(32), "tarball".padStart(10), "installed".padStart(11), " packages  example");
let failed = false;
const wanted = process.argv.slice(2);
for (const one of packed.values()) {
  if (wanted.length > 0 && !wanted.includes(one.short)) continue;
  const dir = mkdtempSync(join(tmpdir(), "tidemark-packed-"));
  try {
    writeFileSync(join(dir, "package.json"), '{ "private": true, "type": "module" }\n');
    await install(dir, [one.name]);
    const size = bytesBelow(join(dir, "node_modules"));
    const count = packagesBelow(join(dir, "node_modules"));
    const example = await runExamples(dir, one);
    failed ||= !example.ok;
    const columns = [kilobytes(lstatSync(one.tarball).size), kilobytes(size)];
    console.log(
      one.name.padEnd(32),
      columns[0].padStart(10),
      columns[1].padStart(11),
      String(count).padStart(9),
      "",
      example.text,
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
process.exitCode = failed ? 1 : 0;

/** Installs packages of ours from their tarballs, with what they need of ours from tarballs as well. */
async function install(dir, names, extra = []) {
  const wanted = new Set(names);
  for (const name of wanted) {
    const { dependencies = {}, peerDependencies = {} } = packed.get(name).manifest;
    for (const one of Object.keys({ ...dependencies, ...peerDependencies }))
      if (packed.has(one)) wanted.add(one);
  }
  const tarballs = [...wanted].map((name) => packed.get(name).tarball);
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  await mustRun(npm, ["install", ...quiet, ...tarballs, ...extra], { cwd: dir });
}

/** Runs the `js` blocks of the README with plain Node; other packages of ours that they name are added first. */
async function runExamples(dir, one) {
  const blocks = fencesOf(readFileSync(join(one.dir, "README.md"), "utf8")).filter(
    ({ language }) => language === "js",
  );
  if (blocks.length === 0) return { ok: false, text: "no example in the README" };
  const named = blocks
    .flatMap(({ code }) => importsOf(code))
    .map((name) =>
      name
        .split("/")
        .slice(0, name.startsWith("@") ? 2 : 1)
        .join("/"),
    );
  const others = [...new Set(named)].filter((name) => packed.has(name) && name !== one.name);
  // What an example uses beside the package, such as the SDK a peer is the API of.
  const {
    dependencies = {},
    peerDependencies = {},
    devDependencies = {},
    peerDependenciesMeta = {},
  } = one.manifest;
  // npm leaves out a peer that is optional; an example is of those who have it.
  const optional = Object.keys(peerDependenciesMeta).filter(
    (name) => peerDependenciesMeta[name].optional && name in devDependencies,
  );
  const beside = [...new Set(named)].filter(
    (name) =>
      name in devDependencies && !packed.has(name) && !(name in { ...dependencies, ...peerDependencies }),
  );
  const extra = [...beside, ...optional].map((name) => `${name}@${devDependencies[name]}`);
  if (others.length + extra.length > 0) await install(dir, [one.name, ...others], extra);
  try {
    for (const { line, code } of blocks) {
      const file = join(dir, `line-${line}.js`);
      writeFileSync(file, code);
      const output = await mustRun(process.execPath, [file], { cwd: dir, env: { NODE_OPTIONS: "" } });
      const absent = printedBy(code).filter((printed) => !output.split("\n").includes(printed));
      if (absent.length > 0) throw new Error(`Did not print ${absent.join(" and ")}\n${output}`);
    }
  } catch (error) {
    return { ok: false, text: `failed\n${error.message}` };
  }
  const short = others.map((name) => name.replace("@tidemark/", ""));
  return { ok: true, text: short.length === 0 ? "ran" : `ran, with ${short.join(", ")}` };
}

function bytesBelow(path) {
  const entry = lstatSync(path);
  if (!entry.isDirectory()) return entry.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0);
}

function packagesBelow(modules) {
  return readdirSync(modules).reduce((count, name) => {
    if (name.startsWith(".")) return count;
    return count + (name.startsWith("@") ? readdirSync(join(modules, name)).length : 1);
  }, 0);
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
