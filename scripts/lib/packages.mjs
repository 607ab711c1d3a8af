// The packages of the workspace, read from disk.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "./root.mjs";

/**
 * A package of the workspace; `short` is its folder name, with `apps/` before that of an app.
 *
 * @typedef {{ name: string, short: string, dir: string, manifest: Record<string, any> }} Package
 */

/**
 * Every published package, sorted.
 *
 * @returns {Package[]}
 */
export function publicPackages() {
  return workspacePackages().filter(({ manifest }) => !manifest.private);
}

/**
 * Every package of the workspace, private ones included.
 *
 * @returns {Package[]}
 */
export function workspacePackages() {
  return ["packages", "apps", "tools"]
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((entry) => join(root, folder, entry)))
    .filter((dir) => existsSync(join(dir, "package.json")))
    .map((dir) => {
      const manifest = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
      const path = relative(root, dir).replaceAll("\\", "/");
      const short = path.startsWith("packages/") ? path.slice("packages/".length) : path;
      return { name: manifest.name, short, dir, manifest };
    })
    .sort((a, b) => (a.short < b.short ? -1 : 1));
}

/**
 * Files below a folder whose name ends with one of `endings`, sorted; dependencies and output are left out.
 *
 * @param {string} dir
 * @param {...string} endings
 * @returns {string[]}
 */
export function filesBelow(dir, ...endings) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((entry) => {
      if (["node_modules", "dist", "coverage", ".turbo", ".git"].includes(entry.name)) return [];
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return filesBelow(path, ...endings);
      return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : [];
    })
    .sort();
}
