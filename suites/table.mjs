// The table of what other people's suites say, and the documents that carry it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SUITES } from "./suites.mjs";

const BEGIN = "<!-- conformance: npm run conformance -- --write -->";
const END = "<!-- /conformance -->";
const HEAD = ["package", "checked by", "over", "passed", "failed", "skipped"];

/**
 * The rows of the table in the order of the suites, each with the package it is about.
 *
 * @param {{ suite: string, backend: string, passed: number, failed: number, skipped: number }[]} results
 */
export function rowsOf(results) {
  return SUITES.flatMap((suite) =>
    results
      .filter((result) => result.suite === suite.name)
      .toSorted((a, b) => a.backend.localeCompare(b.backend, "en"))
      .map((result) => ({ ...result, package: suite.package, checks: suite.checks })),
  );
}

/** The rows as a table of Markdown, its columns as wide as `oxfmt` makes them. */
export function tableOf(rows) {
  const body = rows.map((row) => [
    `\`${row.package}\``,
    row.checks,
    row.backend,
    `${row.passed}`,
    `${row.failed}`,
    `${row.skipped}`,
  ]);
  const widths = HEAD.map((_, column) => Math.max(...[HEAD, ...body].map((cells) => cells[column].length)));
  const numbers = 3;
  const line = (cells) =>
    `| ${cells.map((cell, column) => (column < numbers ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column < numbers ? `:${"-".repeat(width - 1)}` : `${"-".repeat(width - 1)}:`,
  );
  return [line(HEAD), `| ${rule.join(" | ")} |`, ...body.map(line)].join("\n");
}

/** The documents with markers for the table: the root README all of it, the README of a package its rows. */
export function documentsOf(root) {
  const folders = [...new Set(SUITES.map((suite) => suite.package))];
  return [
    { path: join(root, "README.md"), folder: undefined },
    ...folders.map((folder) => ({ path: join(root, "packages", folder, "README.md"), folder })),
  ].filter(({ path }) => tableIn(readFileSync(path, "utf8")) !== undefined);
}

/** What stands between the markers of a document; `undefined` without markers. */
export function tableIn(document) {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  return from === -1 || to === -1 ? undefined : document.slice(from + BEGIN.length, to).trim();
}

/** The rows of the table of a document; none without markers. */
export function rowsIn(document) {
  const lines = (tableIn(document) ?? "").split("\n").slice(2);
  return lines.map((line) => {
    const [name, checks, backend, ...counts] = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    const [passed, failed, skipped] = counts.map(Number);
    return { package: name.replaceAll("`", ""), checks, backend, passed, failed, skipped };
  });
}

/** Rows as they were, but for those of suites that ran anew; in the order of the suites. */
export function rowsWith(before, ran) {
  const isOf = (suite) => (row) => row.package === suite.package && row.checks === suite.checks;
  return SUITES.flatMap((suite) => {
    const anew = ran.filter(isOf(suite));
    return anew.length > 0 ? anew : before.filter(isOf(suite));
  });
}

/** The document with that table between its markers; unchanged without markers. */
export function withTable(document, rows) {
  if (tableIn(document) === undefined) return document;
  const [from, to] = [document.indexOf(BEGIN) + BEGIN.length, document.indexOf(END)];
  return `${document.slice(0, from)}\n\n${tableOf(rows)}\n\n${document.slice(to)}`;
}
