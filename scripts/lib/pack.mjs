// Tarballs of the public packages, made the way they are published.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { publicPackages } from "./packages.mjs";
import { root } from "./root.mjs";
import { mapLimit, mustRun, tool } from "./run.mjs";

const FOLDER = join(root, "node_modules", ".cache", "packed");

/** Packs every public package with pnpm, after a build: `{ name, short, dir, tarball, files, manifest }`. */
export async function packAll() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  return mapLimit(publicPackages(), 2, async ({ name, short, dir }) => {
    const stdout = await mustRun(tool("pnpm"), ["pack", "--pack-destination", FOLDER, "--json"], {
      cwd: dir,
    });
    const { filename, files } = JSON.parse(stdout);
    const tarball = join(FOLDER, filename.split(/[\\/]/).at(-1));
    const manifest = JSON.parse(await mustRun("tar", ["-xzOf", tarball, "package/package.json"]));
    return { name, short, dir, tarball, files: files.map((file) => file.path), manifest };
  });
}

/** What a tarball must have and must not have, as a list of complaints. */
export function complaintsAbout({ short, files, manifest }) {
  const complaints = [];
  const complain = (what) => complaints.push(`${short}: ${what}`);
  for (const file of [
    "package.json",
    "README.md",
    "LICENSE",
    "dist/index.js",
    "dist/index.d.ts",
    "src/index.ts",
  ]) {
    if (!files.includes(file)) complain(`${file} is not in the tarball`);
  }
  for (const file of files) {
    if (/(^|\/)test\/|\.test\.|tsbuildinfo|vitest|tsconfig/.test(file)) complain(`${file} is in the tarball`);
  }
  const text = JSON.stringify(manifest);
  for (const left of ["workspace:", "catalog:", "@tidemark/source"]) {
    if (text.includes(left)) complain(`the packed manifest still says ${left}`);
  }
  for (const [subpath, target] of Object.entries(manifest.exports)) {
    for (const file of typeof target === "string" ? [target] : Object.values(target)) {
      if (!files.includes(file.slice(2)))
        complain(`exports ${subpath} points at ${file}, which is not there`);
    }
  }
  if (manifest.type !== "module" || manifest.main !== undefined)
    complain("a package is ESM only, without main");
  return complaints;
}
