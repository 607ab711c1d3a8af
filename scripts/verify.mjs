// Everything that must hold, in order, a line per step; stops at the first that does not and shows its output.
// `node scripts/verify.mjs types knip` runs only the steps named.
import { join } from "node:path";
import { changesetStatus } from "./lib/changesets.mjs";
import { absentFromDemo } from "./lib/demo-excerpt.mjs";
import { findSecretsInTrackedFiles } from "./lib/hygiene.mjs";
import { complaintsAbout, packAll } from "./lib/pack.mjs";
import { root } from "./lib/root.mjs";
import { mapLimit, mustRun, run, tool } from "./lib/run.mjs";

/** A step resolves to a note for its line, or nothing; it rejects with the output to show. */
const STEPS = [
  ["format", () => exec(tool("oxfmt"), "--check")],
  ["lint", () => exec(tool("oxlint"))],
  ["manifests", () => exec(tool("sherif"), "--fail-on-warnings")],
  ["types", () => exec(tool("tsc"), "-p", "tsconfig.json")],
  ["build", build],
  ["demo", demo],
  ["package picture", () => node("packages.mjs")],
  ["unused code", () => exec(tool("knip"))],
  ["requirements", async () => (await node("requirements.mjs", "--quiet")).trim().split("\n").at(-1)],
  ["error catalogue", () => node("errors.mjs")],
  ["table of scenarios", () => node("testing.mjs")],
  ["tarballs", tarballs],
  ["publint", () => overTarballs((one) => exec(tool("publint"), "run", one.tarball, "--strict"))],
  ["types of tarballs", () => overTarballs(attw)],
  ["installed alone", async () => `\n${(await node("packed.mjs")).trimEnd()}`],
  ["suites of others", suitesOfOthers],
  ["changesets", changesets],
  ["paths and secrets", secrets],
  ["tests", tests],
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !STEPS.some(([step]) => step === name));
if (unknown.length > 0) {
  console.error(`No such step: ${unknown.join(", ")}. Steps: ${STEPS.map(([step]) => step).join(", ")}`);
  process.exit(2);
}
let packed;
for (const [name, step] of STEPS) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const start = performance.now();
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`.padStart(8);
  try {
    const note = await step();
    // The tests come last and end with a line of their own.
    if (name !== "tests") console.log(`ok    ${seconds()}  ${name}${note ? `: ${note}` : ""}`);
  } catch (error) {
    console.error(error.message);
    console.log(`FAIL  ${seconds()}  ${name}`);
    process.exit(1);
  }
}

async function exec(command, ...args) {
  await mustRun(command, args);
}

function node(script, ...args) {
  return mustRun(process.execPath, [join(root, "scripts", script), ...args]);
}

async function build() {
  await mustRun(tool("turbo"), ["run", "build"]);
}

async function demo() {
  const absent = await absentFromDemo();
  if (absent.length > 0)
    throw new Error(`The README shows what the demo does not print:\n${absent.join("\n")}`);
}

async function tarballs() {
  packed = await packAll();
  const complaints = packed.flatMap(complaintsAbout);
  if (complaints.length > 0) throw new Error(complaints.join("\n"));
  return `${packed.length} packed`;
}

async function overTarballs(check) {
  packed ??= await packAll();
  await mapLimit(packed, 2, check);
}

async function attw(one) {
  await exec(tool("attw"), one.tarball, "--profile", "esm-only", "--no-definitely-typed", "--no-summary");
}

async function suitesOfOthers() {
  const args = [join(root, "suites", "run.mjs"), "--others"];
  return `\n${(await mustRun(process.execPath, args)).trimEnd()}`;
}

async function changesets() {
  const { ok, text } = await changesetStatus();
  if (!ok) throw new Error(text);
  return text;
}

async function secrets() {
  const found = await findSecretsInTrackedFiles();
  if (found === undefined) return "no git to ask for the tracked files";
  if (found.length > 0) throw new Error(found.join("\n"));
}

async function tests() {
  const { status } = await run(process.execPath, [join(root, "scripts", "test.mjs")], { inherit: true });
  if (status !== 0) throw new Error("npm test failed: see above");
}
