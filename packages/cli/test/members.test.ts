import { readFileSync, writeFileSync } from "node:fs";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { openRegion } from "@tidemark/region/node";
import { expect, test } from "vitest";
import type { MembersChangeJson, MembersJson } from "../src/index.ts";
import { cli, makeMember, makeRegion, Place, treeOf } from "./harness.ts";

test("REP-7 members add and remove write the next list whole; ids are minted above all that ever were", async () => {
  using place = new Place();
  const dir = place.path("data");
  await makeMember(dir);
  const run = async (...argv: string[]): Promise<MembersChangeJson> =>
    JSON.parse((await cli(["members", ...argv, "--json"])).stdout) as MembersChangeJson;
  expect(await run("add", "ap-south", dir)).toMatchObject({ version: 2, written: true });
  expect(await run("remove", "ap-south", dir, "--yes")).toMatchObject({
    version: 3,
    removed: [{ name: "ap-south", id: 3, version: 3 }],
  });
  const added = await run("add", "sa-east", dir);
  expect(added.members).toEqual([
    { name: "us-east", id: 1, since: null },
    { name: "eu-west", id: 2, since: null },
    { name: "sa-east", id: 4, since: 4 },
  ]);
  const { written: _, ...list } = added;
  expect(await run("ls", dir)).toEqual(list satisfies MembersJson);
  const text = await cli(["members", "ls", dir]);
  expect(text.stdout).toMatch(/^list 4, 1 shard\n/);
  for (const { name } of [...added.members, ...added.removed]) expect(text.stdout).toContain(name);
});

test("REP-7 members refuses the id of another, a name that is there, and one that is not: nothing is written", async () => {
  using place = new Place();
  const dir = place.path("data");
  await makeMember(dir);
  await cli(["members", "remove", "eu-west", dir, "--yes"]);
  const before = treeOf(dir);
  for (const argv of [
    ["add", "ap-south", "--id", "1"],
    ["add", "ap-south", "--id", "2"],
    ["add", "us-east"],
    ["remove", "eu-west", "--yes"],
    ["remove", "us-east", "--yes"],
  ]) {
    const ran = await cli(["members", ...argv.slice(0, 2), dir, ...argv.slice(2)]);
    expect(ran, argv.join(" ")).toMatchObject({ code: 1, stdout: "" });
    expect(ran.stderr).toContain("CLI_MEMBERS_REFUSED");
  }
  expect(await cli(["members", "add", "x", dir, "--id", "65536"])).toMatchObject({ code: 2 });
  expect(treeOf(dir)).toEqual(before);
  const alone = place.path("alone");
  await (await makeRegion(alone)).close();
  expect(await cli(["members", "add", "x", alone])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("is alone"),
  });
  expect(JSON.parse((await cli(["members", "ls", alone, "--json"])).stdout)).toMatchObject({
    version: 0,
    members: [{ name: "local", id: 0 }],
    removed: [],
  });
});

test("CLI-4 members remove asks on a terminal, refuses without one, and a dry run writes nothing", async () => {
  using place = new Place();
  const dir = place.path("data");
  await makeMember(dir);
  const before = treeOf(dir);
  expect(await cli(["members", "remove", "eu-west", dir])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("CLI_UNCONFIRMED"),
  });
  expect(await cli(["members", "remove", "eu-west", dir], { answer: false })).toMatchObject({
    code: 2,
    stdout: "",
  });
  expect(await cli(["members", "remove", "eu-west", dir, "--dry-run"])).toMatchObject({ code: 0 });
  expect(await cli(["members", "add", "ap-south", dir, "-n", "-q"])).toMatchObject({ code: 0, stderr: "" });
  expect(treeOf(dir)).toEqual(before);
  expect(await cli(["members", "remove", "eu-west", dir], { answer: true })).toMatchObject({ code: 0 });
  expect(treeOf(dir)).not.toEqual(before);
});

test("REP-7 a running region takes the list that the command wrote, and keeps what it promised", async () => {
  using place = new Place();
  const network = createInProcessNetwork();
  const members = { version: 1, regions: { "us-east": 1 } };
  const region = await openRegion({
    name: "us-east",
    members,
    dir: place.path("data"),
    transport: network.join("us-east"),
    clusterKey: network.clusterKey,
    bootstrap: true,
  });
  try {
    expect(await cli(["members", "add", "eu-west", place.path("data")])).toMatchObject({ code: 0 });
    await expect.poll(() => region.members().version, { timeout: 20_000, interval: 50 }).toBe(2);
    expect(region.members().regions).toEqual({ "us-east": 1, "eu-west": 2 });
  } finally {
    await region.close();
    await network.close();
  }
  const path = place.path("data", "members.json");
  const file = JSON.parse(readFileSync(path, "utf8")) as object;
  const promised = { version: 9, digest: "ab".repeat(16) };
  writeFileSync(path, JSON.stringify({ ...file, promised }));
  await cli(["members", "add", "ap-south", place.path("data")]);
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ version: 3, promised });
});
