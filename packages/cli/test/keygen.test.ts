import { readFileSync, statSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { KeygenJson } from "../src/index.ts";
import { cli, Place } from "./harness.ts";

test("CLI-7 keygen prints 32 new bytes as base64url or hexadecimal, and nothing else", async () => {
  const [one, two, hex] = [await cli(["keygen"]), await cli(["keygen"]), await cli(["keygen", "--hex"])];
  expect(one).toMatchObject({ code: 0, stderr: "" });
  expect(one.stdout).toMatch(/^[\w-]{43}\n$/);
  expect(Buffer.from(one.stdout.trim(), "base64url")).toHaveLength(32);
  expect(one.stdout).not.toBe(two.stdout);
  expect(hex.stdout).toMatch(/^[0-9a-f]{64}\n$/);
  const json = JSON.parse((await cli(["keygen", "--json"])).stdout) as KeygenJson;
  expect(json).toEqual({
    key: expect.stringMatching(/^[\w-]{43}$/),
    encoding: "base64url",
    bytes: 32,
    file: null,
  });
});

test("CLI-7 keygen --out writes a file that only its owner reads, prints no key, and never replaces one", async () => {
  using place = new Place();
  const around = { cwd: place.dir };
  const written = await cli(["keygen", "--hex", "--out", "cluster.key"], around);
  expect(written).toMatchObject({ code: 0, stdout: `${place.path("cluster.key")}\n` });
  const key = readFileSync(place.path("cluster.key"), "utf8");
  expect(key).toMatch(/^[0-9a-f]{64}\n$/);
  expect(written.stdout + written.stderr).not.toContain(key.trim());
  if (process.platform !== "win32") expect(statSync(place.path("cluster.key")).mode & 0o777).toBe(0o600);
  expect(await cli(["keygen", "--out", "cluster.key"], around)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("CLI_FILE_EXISTS"),
  });
  expect(readFileSync(place.path("cluster.key"), "utf8")).toBe(key);
  const json = JSON.parse(
    (await cli(["keygen", "--json", "--out", "other.key"], around)).stdout,
  ) as KeygenJson;
  expect(json).toEqual({ key: null, encoding: "base64url", bytes: 32, file: place.path("other.key") });
  writeFileSync(place.path("file"), "");
  const nowhere = await cli(["keygen", "--json", "--out", "file/key"], around);
  expect(nowhere).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(nowhere.stderr)).toMatchObject({ error: { code: "ENOTDIR", exitCode: 1 } });
});
