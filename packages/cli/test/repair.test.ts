import { nodeFs } from "@tidemark/wal/node";
import { expect, test } from "vitest";
import { EXIT } from "../src/index.ts";
import type { WalRepairJson, WalVerifyJson } from "../src/index.ts";
import { DAMAGE } from "./damage.ts";
import { cli, Place, treeOf } from "./harness.ts";

async function damaged(place: Place, name: string): Promise<string> {
  const dir = place.path("data");
  await DAMAGE.find((day) => day.name === name)!.make(dir);
  return dir;
}

async function soundness(dir: string): Promise<boolean> {
  return (JSON.parse((await cli(["wal", "verify", dir, "--json"])).stdout) as WalVerifyJson).sound;
}

test("scenario 3 wal repair cuts a torn tail after a yes, and asks nobody where nobody can answer", async () => {
  using place = new Place();
  const dir = await damaged(place, "with a torn tail");
  const before = treeOf(dir);
  const dry = await cli(["wal", "repair", dir, "--dry-run", "--json"]);
  expect(dry.code).toBe(EXIT.ok);
  expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true, changed: false, actions: [{ kind: "cut" }] });
  expect(await cli(["wal", "repair", dir])).toMatchObject({
    code: EXIT.usage,
    stdout: "",
    stderr: expect.stringContaining("CLI_UNCONFIRMED"),
  });
  expect(await cli(["wal", "repair", dir], { answer: false })).toMatchObject({ code: EXIT.usage });
  expect(treeOf(dir)).toEqual(before);
  const done = await cli(["wal", "repair", dir], { answer: true });
  expect(done).toMatchObject({ code: EXIT.ok, stdout: expect.stringMatching(/repaired\n$/) });
  const again = await cli(["wal", "repair", dir, "--yes", "--json"]);
  expect(JSON.parse(again.stdout)).toMatchObject({ changed: false, actions: [], remaining: [] });
});

test.each([
  ["scenario 4", "with a torn segment before a valid one"],
  ["scenario 5", "with a flipped bit in a sealed segment"],
  ["scenario 6", "with damage below the watermark"],
])(
  "%s wal repair of a directory %s takes the batches from a copy, and changes nothing without one",
  async (_, name) => {
    using place = new Place();
    const dir = await damaged(place, name);
    // The same log, sound: what another member has.
    const copy = place.path("copy");
    await DAMAGE.find((day) => day.name === "with a damaged checkpoint")!.make(copy);
    const broken = treeOf(dir);
    const alone = await cli(["wal", "repair", dir, "--dry-run", "--json"]);
    expect(alone.code).toBe(EXIT.corrupt);
    expect((JSON.parse(alone.stdout) as WalRepairJson).actions).toMatchObject([
      { kind: "fetch", available: false },
    ]);
    const planned = await cli(["wal", "repair", dir, "--from", copy, "--dry-run", "--json"]);
    expect((JSON.parse(planned.stdout) as WalRepairJson).actions).toMatchObject([
      { kind: "fetch", available: true },
    ]);
    expect(treeOf(dir)).toEqual(broken);
    const done = await cli(["wal", "repair", dir, "--from", copy, "--yes", "--json"]);
    expect(done.code).toBe(EXIT.ok);
    expect(JSON.parse(done.stdout)).toMatchObject({ changed: true, remaining: [], failures: [] });
    expect(await soundness(dir)).toBe(true);
  },
);

test("CLI-6 wal repair of a directory that a live process has open is refused with its holder, and nothing changes", async () => {
  using place = new Place();
  const dir = await damaged(place, "with a flipped bit in a sealed segment");
  const copy = place.path("copy");
  await DAMAGE.find((day) => day.name === "with a damaged checkpoint")!.make(copy);
  const holder = await nodeFs().lock(dir);
  const before = treeOf(dir);
  try {
    const ran = await cli(["wal", "repair", dir, "--from", copy, "--yes"]);
    expect(ran).toMatchObject({ code: EXIT.failure, stdout: "" });
    expect(ran.stderr).toMatch(new RegExp(`^tidemark: .*process ${process.pid}.*\\(WAL_LOCKED\\)\n$`));
    expect(treeOf(dir)).toEqual(before);
  } finally {
    await holder.release();
  }
  const noSource = await cli(["wal", "repair", dir, "--from", place.path("nowhere"), "--yes"]);
  expect(noSource).toMatchObject({ code: EXIT.failure, stderr: expect.stringContaining("CLI_NO_DIRECTORY") });
  expect(treeOf(dir)).toEqual(before);
});
