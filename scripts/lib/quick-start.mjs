// The first example of a README that needs a server, run against one.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fencesOf, printedBy } from "./fences.mjs";
import { createSandbox, runFile } from "./sandbox.mjs";

/**
 * Runs the block `quick-start.mjs` of a README with a variable of its environment replaced.
 *
 * @param {URL} readme
 * @param {string} variable - Such as `REDIS_URL`.
 * @param {string} address - Of the server to use.
 * @returns {Promise<{ status: number, output: string, lineCount: number, absent: string[] }>} `absent`: lines it says it
 * prints, and does not.
 */
export async function runQuickStart(readme, variable, address) {
  const { code } = fencesOf(readFileSync(readme, "utf8")).find(({ file }) => file === "quick-start.mjs");
  const sandbox = createSandbox();
  try {
    const named = code.replace(`process.env.${variable}`, JSON.stringify(address));
    writeFileSync(join(sandbox.dir, "quick-start.mjs"), named);
    const { status, output } = await runFile(sandbox.dir, "quick-start.mjs");
    const absent = printedBy(code).filter((printed) => !output.split("\n").includes(printed));
    return { status, output, lineCount: code.trim().split("\n").length, absent };
  } finally {
    sandbox.remove();
  }
}
