import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { makeRegion, Place } from "./harness.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

function run(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (part) => (stdout += String(part)));
    child.stderr.on("data", (part) => (stderr += String(part)));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

test("CLI-9 npx --no-install tidemark works at the root of the clone, and its exit code comes through", async () => {
  using place = new Place();
  const dir = place.path("data");
  await (await makeRegion(dir)).close();
  const npx = process.platform === "win32" ? "npx.cmd" : "npx";
  const checked = await run(npx, ["--no-install", "tidemark", "status", dir, "--check", "--json"], ROOT);
  expect(checked.code).toBe(3);
  expect(JSON.parse(checked.stdout)).toMatchObject({ healthy: false });
  const bin = fileURLToPath(new URL("../bin/tidemark.mjs", import.meta.url));
  const broken = await run(process.execPath, [bin, "status", "nowhere"], place.dir);
  expect(broken).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("CLI_NO_DIRECTORY") });
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "CLI-1 a process that gets %s ends with 130, and says so",
  async (signal) => {
    using place = new Place();
    await (await makeRegion(place.path("data"))).close();
    const program = fileURLToPath(new URL("interrupted-process.ts", import.meta.url));
    const args = ["--conditions=@tidemark/source", "--import", "tsx", program, place.path("data")];
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    let stderr = "";
    child.stderr.on("data", (part) => (stderr += String(part)));
    child.stdout.once("data", () => child.kill(signal));
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect({ code, stderr }).toEqual({ code: 130, stderr: "tidemark: Interrupted (CLI_INTERRUPTED)\n" });
  },
);
