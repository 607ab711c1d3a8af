// Whether a change that users see carries a changeset, on every kind of clone.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./root.mjs";
import { run, tool } from "./run.mjs";

const git = (...args) => run("git", args);

/** Resolves to `{ ok, text }`: what was compared, or why nothing could be. */
export async function changesetStatus() {
  if ((await git("rev-parse", "HEAD")).status !== 0) return { ok: true, text: "no history to compare with" };
  const base = await baseOf();
  if (base === undefined) return { ok: true, text: "no main branch in this clone to compare with" };
  const [head, main] = await Promise.all([git("rev-parse", "HEAD"), git("rev-parse", base)]);
  if (head.stdout === main.stdout) return { ok: true, text: `this is ${base}: nothing to compare with` };

  const common = await git("merge-base", "HEAD", base);
  const first =
    common.status !== 0 || (await git("cat-file", "-e", `${base}:.changeset/config.json`)).status !== 0;
  if (common.status !== 0 && (await git("rev-parse", "--is-shallow-repository")).stdout.trim() === "true") {
    return { ok: true, text: `a shallow clone does not reach ${base}` };
  }
  if (first) {
    // The first landing: changesets cannot compare with a main that has no packages.
    const ok = changesets().length > 0 || (await versionsDiffer(base));
    return {
      ok,
      text: ok ? "first landing, with a changeset" : "first landing without a changeset in .changeset/",
    };
  }
  if (await versionsDiffer(base)) return { ok: true, text: "a release: versions were raised" };
  const { status, output } = await run(tool("changeset"), ["status", `--since=${base}`]);
  return { ok: status === 0, text: status === 0 ? `compared with ${base}` : output };
}

async function baseOf() {
  for (const name of ["origin/main", "main"]) {
    if ((await git("rev-parse", "--verify", "--quiet", `${name}^{commit}`)).status === 0) return name;
  }
  return undefined;
}

async function versionsDiffer(base) {
  const version = (text) => /"version": "([^"]+)"/.exec(text)?.[1];
  const file = "packages/core/package.json";
  const [before, after] = await Promise.all([git("show", `${base}:${file}`), git("show", `HEAD:${file}`)]);
  return before.status === 0 && version(before.stdout) !== version(after.stdout);
}

function changesets() {
  return readdirSync(join(root, ".changeset")).filter((name) => name.endsWith(".md") && name !== "README.md");
}
