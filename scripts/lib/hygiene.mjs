// What must not be in a file that is shared: somebody's paths, a registry's address, a secret.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./root.mjs";
import { run } from "./run.mjs";

const RULES = [
  [
    "a path of one machine",
    /(?<![\w.-])\/(?:home|Users)\/[A-Za-z][\w.-]*\/|(?<![\w./-])\/(?:root|work)\/[\w.-]+|\b[A-Z]:\\Users\\/,
  ],
  [
    "the address of a package registry",
    /\bregistry\.[\w-]+\.\w+|\/artifactory\/|\bnpm\.pkg\.|_authToken|always-auth/i,
  ],
  ["a private key", /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY/],
  [
    "a token",
    /\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|npm_\w{36}|AKIA[0-9A-Z]{16}|xox[abps]-\w{10,}|sk-\w{32,})/,
  ],
  ["a password in an address", /\b[a-z][a-z+]*:\/\/[^\s/:@"'`$]+:[^\s/:@"'`$]+@/],
];
// These two spell the patterns out.
const EXEMPT = new Set(["scripts/lib/hygiene.mjs", "scripts/test/hygiene.test.ts"]);

/**
 * Complaints about one text, as `path:line has what`.
 *
 * @param {string} path
 * @param {string} text
 * @returns {string[]}
 */
export function findSecrets(path, text) {
  return text
    .split("\n")
    .flatMap((line, index) =>
      RULES.filter(([, pattern]) => pattern.test(line)).map(([what]) => `${path}:${index + 1} has ${what}`),
    );
}

/** Complaints about every tracked file; undefined where there is no git to ask. */
export async function findSecretsInTrackedFiles() {
  const { status, stdout } = await run("git", ["ls-files", "-z"]);
  if (status !== 0) return undefined;
  return stdout
    .split("\0")
    .filter((path) => path !== "" && !EXEMPT.has(path))
    .flatMap((path) => {
      let bytes;
      try {
        bytes = readFileSync(join(root, path));
      } catch {
        return []; // Tracked and deleted: the next commit removes it.
      }
      return bytes.includes(0) ? [] : findSecrets(path, bytes.toString("utf8"));
    });
}
