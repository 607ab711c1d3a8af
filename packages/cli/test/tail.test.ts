import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { expect, onTestFinished, test } from "vitest";
import { EXIT, type TailJson } from "../src/index.ts";
import { cli, makeRegion, Place } from "./harness.ts";

async function rowsOf(...argv: string[]): Promise<TailJson[]> {
  const ran = await cli([...argv, "--json"]);
  expect(ran.code, ran.stderr).toBe(EXIT.ok);
  return JSON.parse(ran.stdout) as TailJson[];
}

test("CLI-2 tail prints the operations of a session, and nothing of another, beside a region that runs", async () => {
  using place = new Place();
  const dir = place.path("data");
  const region = await makeRegion(dir);
  onTestFinished(() => region.close());
  const other = await region.sessions.start({ user: "the-user", agent: "scout" });
  await other.hide("another-item");
  const rows = await rowsOf("tail", "the-session", dir, "--content");
  expect(rows.map(({ kind, seqno }) => [kind, seqno])).toEqual([
    ["start", 1],
    ["hide", 2],
  ]);
  expect(rows.map(({ content }) => content)).toMatchObject([
    { user: "the-user", agent: "scout" },
    { item: "the-item" },
  ]);
  const text = await cli(["tail", "the-session", dir]);
  expect(text.stdout).toMatch(/^\d{4}-\d\d-\d\dT\S+Z {2}start {5}\S+ 1\n\S+ {2}hide {6}\S+ 2\n$/);
  expect(text.stdout).not.toContain("the-item");
  expect(await rowsOf("tail", "the-session", dir, "--lines", "1")).toMatchObject([
    { kind: "hide", content: null },
  ]);
});

test("CLI-2 tail goes on behind a cursor, of a row or signed by a region; there may be nothing", async () => {
  using place = new Place();
  const dir = place.path("data");
  const network = createInProcessNetwork();
  onTestFinished(() => network.close());
  const region = await makeRegion(dir, {
    name: "us-east",
    members: { version: 1, regions: { "us-east": 1, "eu-west": 2 } },
    transport: network.join("us-east"),
    clusterKey: network.clusterKey,
    bootstrap: true,
  });
  onTestFinished(() => region.close());
  const [start, hide] = (await rowsOf("tail", "the-session", dir)) as [TailJson, TailJson];
  expect(await rowsOf("tail", "the-session", dir, "--from", start.cursor!)).toEqual([hide]);
  expect(await rowsOf("tail", "the-session", dir, "--from", hide.cursor!)).toEqual([]);
  const session = region.sessions.get("the-session");
  const cursor = String(session!.cursor());
  await session!.hide("the-next-item");
  expect(await rowsOf("tail", "the-session", dir, "--from", cursor)).toMatchObject([
    { kind: "hide", seqno: 3 },
  ]);
  const none = await cli(["tail", "no-session", dir, "--json"]);
  expect(none).toMatchObject({ code: EXIT.ok, stdout: "[]\n" });
  expect(none.stderr).toContain("There is nothing of the session no-session");
  for (const wrong of ["tmc1.AQ", "nonsense"]) {
    const ran = await cli(["tail", "the-session", dir, "--from", wrong]);
    expect(ran, wrong).toMatchObject({ code: EXIT.usage, stdout: "" });
  }
  const foreign = await cli(["tail", "another-session", dir, "--from", cursor]);
  expect(foreign).toMatchObject({ code: EXIT.usage });
  expect(foreign.stderr).toMatch(/another session.* \(CLI_USAGE\)\n$/);
  expect(await cli(["tail", "the-session", dir, "--lines", "0"])).toMatchObject({ code: EXIT.usage });
});

test("CLI-1 tail --follow prints what a running region writes, one JSON object a line, until it is interrupted", async () => {
  using place = new Place();
  const dir = place.path("data");
  const region = await makeRegion(dir);
  onTestFinished(() => region.close());
  const controller = new AbortController();
  const seen: TailJson[] = [];
  let heard: () => void = () => undefined;
  const running = cli(["tail", "the-session", dir, "--follow", "--json"], {
    signal: controller.signal,
    onStdout: (text) => {
      seen.push(JSON.parse(text) as TailJson);
      heard();
    },
  });
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) await new Promise<void>((resolve) => (heard = resolve));
  };
  await until(2);
  const session = region.sessions.get("the-session");
  for (const item of ["a", "b", "c"]) await session!.hide(item);
  await until(5);
  expect(seen.map(({ seqno }) => seqno)).toEqual([1, 2, 3, 4, 5]);
  controller.abort(new Error("Interrupted"));
  expect(await running).toMatchObject({ code: EXIT.interrupted });
});
