// The package table of docs/packages.md against manifests and imports.
import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, relative } from "node:path";
import { filesBelow, workspacePackages } from "./packages.mjs";
import { root } from "./root.mjs";

const SCOPE = "@tidemark/";
/** Packages that are all edge: a program for Node, imported by nobody. */
const PROGRAMS = new Set(["cli"]);
const ADAPTER = /^(?:transport|kv)-(?!conformance)/;
const builtins = new Set(builtinModules);

/**
 * Reads the table: short package name to the set of short names it may import; "any" stands for all.
 *
 * @param {string} markdown
 * @returns {Map<string, Set<string> | "any">}
 */
export function readTable(markdown) {
  const table = new Map();
  for (const line of markdown.split("\n")) {
    const row = /^\|\s*`([^`]+)`\s*\|([^|]+)\|/.exec(line);
    if (!row) continue;
    const allowed = row[2].trim();
    table.set(row[1], allowed === "any" ? "any" : new Set(allowed.match(/(?<=`)[\w-]+(?=`)/g) ?? []));
  }
  return table;
}

/**
 * Module names a source text imports, re-exports or loads, type imports included.
 *
 * @param {string} source
 * @returns {string[]}
 */
export function importsOf(source) {
  const code = withoutComments(source);
  const names = [];
  const patterns = [
    /\b(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/g,
    // Not the word as a text of its own.
    /(?<!["'])\bimport\s*["']([^"']+)["']/g,
    /\b(?:import|require)\s*\(\s*["']([^"']+)["']/g,
  ];
  for (const pattern of patterns) for (const match of code.matchAll(pattern)) names.push(match[1]);
  return names;
}

/** Removes comments and leaves strings as they are. */
export function withoutComments(source) {
  return source.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, string) => string ?? " ",
  );
}

/**
 * Every package and file that does not keep to the table, in words.
 *
 * @returns {string[]}
 */
export function findViolations({
  packages = workspacePackages(),
  table = readTable(readFileSync(join(root, "docs", "packages.md"), "utf8")),
  sources = sourcesOf,
} = {}) {
  const shorts = new Map(packages.map((one) => [one.name, one.short]));
  const found = [];
  for (const row of table.keys()) {
    if (!packages.some((one) => one.short === row))
      found.push(`docs/packages.md lists ${row}, which does not exist`);
  }
  for (const one of packages) {
    const allowed = table.get(one.short);
    if (!allowed) {
      found.push(`${one.short} is not in the table of docs/packages.md`);
      continue;
    }
    const check = (name, where) => {
      const target = shorts.get(name);
      if (target === undefined) found.push(`${where} names ${name}, which is no package of the workspace`);
      else if (allowed !== "any" && !allowed.has(target))
        found.push(`${where} imports ${target}: not in the table`);
      else if (!one.short.startsWith("apps/")) {
        if (target.startsWith("apps/")) found.push(`${where} imports an app`);
        // A program, and a private tool that exists to break brokers, name them; the row in the table says which.
        if (ADAPTER.test(target) && !one.short.startsWith("tools/") && !PROGRAMS.has(one.short))
          found.push(`${where} imports the adapter ${target}`);
      }
    };
    const { dependencies = {}, peerDependencies = {}, devDependencies = {} } = one.manifest;
    const declared = { ...dependencies, ...peerDependencies };
    for (const name of Object.keys(declared)) {
      if (name.startsWith(SCOPE)) check(name, `${one.short}/package.json`);
    }
    // A conformance package that took an adapter for its own tests would close a circle in the build graph.
    if (one.short.endsWith("-conformance")) {
      for (const name of Object.keys(devDependencies)) {
        if (name.startsWith(SCOPE)) check(name, `${one.short}/package.json (devDependencies)`);
      }
    }
    for (const { path, text } of sources(one)) {
      const atTheEdge =
        /(^|\/)src\/node(\.ts|\/)/.test(path) || /^(apps|tools)\//.test(one.short) || PROGRAMS.has(one.short);
      for (const specifier of importsOf(text)) {
        if (specifier.startsWith(".")) continue;
        if (specifier.startsWith("node:") || builtins.has(specifier)) {
          if (!specifier.startsWith("node:")) found.push(`${path} imports ${specifier} without "node:"`);
          if (!atTheEdge)
            found.push(`${path} imports ${specifier}: only src/node.ts, src/node/ and programs may`);
          continue;
        }
        const name = packageOf(specifier);
        if (name === one.name) found.push(`${path} imports its own package by name`);
        else if (!(name in declared))
          found.push(`${path} imports ${name}, which its manifest does not declare`);
        else if (name.startsWith(SCOPE)) check(name, path);
      }
    }
  }
  return found;
}

function packageOf(specifier) {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function sourcesOf(one) {
  return filesBelow(join(one.dir, "src"), ".ts", ".mts", ".mjs", ".js").map((file) => ({
    path: relative(root, file).replaceAll("\\", "/"),
    text: readFileSync(file, "utf8"),
  }));
}
