import { expect, test } from "vitest";
import { findSecrets, findSecretsInTrackedFiles } from "../lib/hygiene.mjs";

test("no tracked file has a machine's path, a registry's address or a secret", async () => {
  expect((await findSecretsInTrackedFiles()) ?? []).toEqual([]);
});

test.each([
  ["/home/alice/tidemark", 1],
  // In two pieces: this file is tracked, too.
  [`see ${"/wo"}rk/main/README.md`, 1],
  ["/Users/bob/code", 1],
  ["https://registry.example.org/left-pad", 1],
  ["//host/:_authToken=abc", 1],
  ["-----BEGIN PRIVATE KEY-----", 1],
  ["nats://user:secret@localhost", 1],
  ["./packages/work/file and a/home/b/c", 0],
  ["nats://127.0.0.1:4222 and redis://localhost:6379", 0],
  ["https://user@example.org:80", 0],
])("findSecrets() on %s finds %i", (text, count) => {
  expect(findSecrets("file", text)).toHaveLength(count);
});
