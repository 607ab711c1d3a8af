// The error codes of every package, read from the unions in its sources.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, publicPackages } from "./packages.mjs";
import { root } from "./root.mjs";

/** Where the generated catalogue lives. */
export const ERRORS_DOCUMENT = join(root, "docs", "errors.md");

/**
 * The codes of a source text: every `export type XErrorCode = …`.
 *
 * @param {string} source
 * @returns {{ code: string, meaning: string }[]}
 */
export function codesOf(source) {
  const codes = [];
  // The union ends at the first `;` outside a comment.
  for (const union of source.matchAll(/export type \w*ErrorCode\s*=((?:\/\*[\s\S]*?\*\/|[^;])*);/g)) {
    for (const item of union[1].matchAll(/(?:\/\*\*([\s\S]*?)\*\/\s*)?\|?\s*"([A-Z][A-Z0-9_]*)"/g)) {
      codes.push({ code: item[2], meaning: sentence(item[1] ?? "") });
    }
  }
  return codes;
}

/**
 * Every package that has codes.
 *
 * @returns {{ name: string, short: string, codes: { code: string, meaning: string }[], readme: string }[]}
 */
export function errorCatalogue() {
  return publicPackages().flatMap(({ name, short, dir }) => {
    const found = filesBelow(join(dir, "src"), ".ts").flatMap((file) => {
      return codesOf(readFileSync(file, "utf8"));
    });
    if (found.length === 0) return [];
    const readme = join(dir, "README.md");
    return [
      {
        name,
        short,
        codes: found,
        readme: existsSync(readme) ? readFileSync(readme, "utf8") : "",
      },
    ];
  });
}

/** The text of docs/errors.md. */
export function renderErrors(catalogue = errorCatalogue()) {
  const lines = [
    "# Error codes",
    "",
    "Generated from the unions in the sources by `node scripts/errors.mjs --write`; `npm run verify` fails when it is",
    "out of date. A code is stable within a major version, a message is not: test `error.code`. A wrong argument is a",
    "`TypeError` or `RangeError` without a code. The README of each package says for each of its codes whether a retry",
    "can help and what to do.",
    "",
  ];
  for (const { name, short, codes } of catalogue) {
    lines.push(
      `## ${name}`,
      "",
      `See [its README](../packages/${short}/README.md).`,
      "",
      "| code | meaning |",
      "| :-- | :-- |",
    );
    for (const { code, meaning } of codes) lines.push(`| \`${code}\` | ${meaning.replaceAll("|", "\\|")} |`);
    lines.push("");
  }
  return lines.join("\n");
}

/**
 * The first column of every table of a README whose first heading is "code".
 *
 * @param {string} markdown
 * @returns {string[]}
 */
export function codesInTables(markdown) {
  const codes = [];
  let inTable = false;
  for (const line of markdown.split("\n")) {
    if (/^\|\s*code\s*\|/i.test(line)) inTable = true;
    else if (!line.startsWith("|")) inTable = false;
    else if (inTable) codes.push(...(/^\|\s*`([A-Z][A-Z0-9_]+)`/.exec(line)?.slice(1) ?? []));
  }
  return codes;
}

function sentence(comment) {
  return comment
    .replace(/^\s*\*? ?/gm, "")
    .replace(/\{@link (\w+)\}/g, "`$1`")
    .replace(/\s+/g, " ")
    .trim();
}
