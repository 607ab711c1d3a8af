// The numbered requirements of docs/spec and the tests that name them.
import { readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { filesBelow } from "./packages.mjs";
import { withoutComments } from "./picture.mjs";
import { root } from "./root.mjs";

const ITEM =
  /^- \*\*((?:[A-Z]{3,4}-\d+[a-z]?)|(?:[ABC]-\d+[a-z]?)|(?:scenario \d+))\*\* (?:[*_](planned)[*_] )?(.*)$/;
const NUMBER = /\b(?:A|B|C|CORE|WAL|TRN|REP|SIG|SES|BRG|RGN|CLI|APP|SIM|RUN|LIV|ZON)-\d+[a-z]?\b/g;
const SCENARIOS = /\bscenarios? (\d+(?:(?:, | and )\d+)*)/gi;

/**
 * The items of one page of docs/spec.
 *
 * @param {string} markdown
 * @returns {{ id: string, planned: boolean, sentence: string }[]}
 */
export function requirementsOf(markdown) {
  // A sentence goes on in the lines indented below it.
  return markdown
    .replace(/\n {2,}(?=\S)/g, " ")
    .split("\n")
    .flatMap((line) => {
      const item = ITEM.exec(line);
      return item ? [{ id: item[1], planned: item[2] !== undefined, sentence: item[3] }] : [];
    });
}

/**
 * The requirement and scenario numbers a test file names outside its comments.
 *
 * @param {string} source
 * @returns {Set<string>}
 */
export function numbersIn(source) {
  const code = withoutComments(source);
  const found = new Set(code.match(NUMBER) ?? []);
  for (const [, list] of code.matchAll(SCENARIOS)) {
    for (const number of list.match(/\d+/g)) found.add(`scenario ${number}`);
  }
  return found;
}

/**
 * Every requirement with the test files that name it.
 *
 * @returns {{ id: string, planned: boolean, sentence: string, page: string, tests: string[] }[]}
 */
export function heldRequirements() {
  const tests = testFiles().map((file) => ({
    file: relative(root, file).replaceAll("\\", "/"),
    numbers: numbersIn(readFileSync(file, "utf8")),
  }));
  return filesBelow(join(root, "docs", "spec"), ".md").flatMap((page) =>
    requirementsOf(readFileSync(page, "utf8")).map((one) => ({
      ...one,
      page: basename(page),
      tests: tests.filter(({ numbers }) => numbers.has(one.id)).map(({ file }) => file),
    })),
  );
}

/**
 * Numbers that tests name and no page of docs/spec has: a typing error, or a requirement that moved.
 *
 * @param {{ id: string }[]} requirements
 * @returns {string[]}
 */
export function unknownNumbers(requirements) {
  const known = new Set(requirements.map(({ id }) => id));
  return testFiles().flatMap((file) =>
    [...numbersIn(readFileSync(file, "utf8"))]
      .filter((number) => !known.has(number))
      .map(
        (number) =>
          `${relative(root, file).replaceAll("\\", "/")} names ${number}, which docs/spec does not have`,
      ),
  );
}

function testFiles() {
  const folders = ["packages", "apps", "tools", "scripts"];
  // The checks of a conformance package are tests that live in its src.
  return folders.flatMap((folder) =>
    filesBelow(join(root, folder), ".ts").filter(
      (file) => /[\\/]test[\\/]/.test(file) || /-conformance[\\/]src[\\/]/.test(file),
    ),
  );
}
