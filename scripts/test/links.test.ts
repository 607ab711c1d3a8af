import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { fencesOf } from "../lib/fences.mjs";
import { filesBelow } from "../lib/packages.mjs";
import { root } from "../lib/root.mjs";

const documents: string[] = [
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md"].map((name) => join(root, name)),
  ...["docs", "packages", "apps", "bench"].flatMap((folder) => filesBelow(join(root, folder), ".md")),
];

test("every relative link of a document leads to a file, and to a heading of it", () => {
  expect(documents.flatMap(brokenLinks)).toEqual([]);
});

test("the example on the first screen of the README has at most 15 lines", () => {
  const [first] = fencesOf(readFileSync(join(root, "README.md"), "utf8")).filter(
    (fence) => fence.language === "js",
  );
  expect(first!.code.trimEnd().split("\n").length).toBeLessThanOrEqual(15);
});

function brokenLinks(document: string): string[] {
  return [...proseOf(document).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
    if (/^[a-z]+:/.test(link!)) return [];
    const [path, anchor] = link!.split("#") as [string, string | undefined];
    const target = path === "" ? document : join(dirname(document), path);
    const found = existsSync(target) && (anchor === undefined || headingsOf(target).includes(anchor));
    return found ? [] : [`${relative(root, document)} links to ${link}`];
  });
}

/** The text without its code. */
function proseOf(document: string): string {
  return readFileSync(document, "utf8")
    .replace(/^(`{3,})[\s\S]*?^\1$/gm, "")
    .replace(/`[^`\n]*`/g, "");
}

/** The anchors a reader of rendered Markdown can jump to. */
function headingsOf(document: string): string[] {
  return readFileSync(document, "utf8")
    .split("\n")
    .filter((line) => /^#{1,6} /.test(line))
    .map((line) =>
      line
        .replace(/^#+ /, "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    );
}
