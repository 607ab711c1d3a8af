import { memoryFs } from "@tidemark/wal";
import type { AppReducer } from "@tidemark/session";
import { expect, expectTypeOf, test } from "vitest";
import { openRegion } from "../src/index.ts";
import type { Region, RegionOptions } from "../src/index.ts";
import { Cluster, loneOptions } from "./cluster.ts";

const WAIT = { timeoutMs: 5_000 };
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** What was said, in order. */
const chat: AppReducer<readonly string[]> = {
  version: 1,
  empty: () => [],
  reduce: (said, { bytes }) => [...said, new TextDecoder().decode(bytes)],
};

type Chatting = Region<string, { chat: readonly string[] }>;

/** Opens a member with the reducer. */
async function openChatting(
  cluster: Cluster,
  name: string,
  options: Partial<RegionOptions> = {},
): Promise<Chatting> {
  return (await cluster.open(name, { ...options, reducers: { chat } })) as Chatting;
}

test("SES-7 what a reducer makes is the same in every region: after a cut, after a restart, and where the state came by a snapshot; a member without it has the same digest", async () => {
  const keeping = { segmentBytes: 8_192, checkpointMs: 20, retentionKeepBytes: 0 };
  await using cluster = new Cluster(["us-east", "eu-west"]);
  let east = await openChatting(cluster, "us-east", { ...keeping, bootstrap: true });
  const west = await cluster.open("eu-west", keeping);
  await Promise.all([east.ready(WAIT), west.ready(WAIT)]);
  const { id } = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  for (const at of [1, 2, 3]) {
    await east.sessions.get(id)!.app("chat", text(`east ${at}`), { operationId: `once-${at}` });
    await west.sessions.get(id)!.app("chat", text(`west ${at}`));
    await west.sessions.get(id)!.app("chat", text(`east ${at}`), { operationId: `once-${at}` });
  }
  expect(east.sessions.get(id)!.appState("chat")).toEqual(["east 1", "east 2", "east 3"]);
  cluster.network.heal();
  await cluster.converged();
  const said = east.sessions.get(id)!.appState("chat");
  expect(said.toSorted()).toEqual(["east 1", "east 2", "east 3", "west 1", "west 2", "west 3"]);
  expect(west.certificate()).toEqual(east.certificate());

  await cluster.close("us-east");
  east = await openChatting(cluster, "us-east", keeping);
  await east.ready(WAIT);
  expect(east.sessions.get(id)!.appState("chat")).toEqual(said);

  // The other member's machine is replaced once the logs do not begin at the beginning any more.
  const session = east.sessions.get(id)!;
  for (let round = 0; round < 8; round++) {
    await Promise.all(Array.from({ length: 20 }, () => session.annotate("x".repeat(500))));
    await cluster.converged();
  }
  await expect
    .poll(() => Math.max(east.health().walSegments, west.health().walSegments), { timeout: 5_000 })
    .toBeLessThan(5);
  await cluster.close("eu-west");
  cluster.replaceDisk("eu-west", memoryFs({ seed: 1 }));
  const fresh = await openChatting(cluster, "eu-west", keeping);
  await fresh.ready({ timeoutMs: 10_000 });
  expect(fresh.metrics().snapshotsRestored).toBe(1);
  expect(fresh.sessions.get(id)!.appState("chat")).toEqual(said);
});

test("SES-17 SES-18 a reducer is given what a fork brought along, and nothing of who was erased", async () => {
  await using cluster = new Cluster(["us", "eu"]);
  const regions = [
    await openChatting(cluster, "us", { bootstrap: true, encryption: true }),
    await openChatting(cluster, "eu", { encryption: true }),
  ] as const;
  const [us] = regions;
  await Promise.all(regions.map((region) => region.ready(WAIT)));
  const parent = await us.sessions.start({ user: "ada", agent: "scout" });
  await parent.app("chat", text("hello"));
  const [one, other] = [await parent.fork({ id: "one" }), await parent.fork({ id: "other" })];
  await parent.app("chat", text("later"));
  await one.app("chat", text("mine"));
  await other.app("chat", text("other's"));
  await us.sessions.merge("one", "other", { id: "both" });
  await us.sessions.start({ id: "bob's", user: "bob", agent: "scout" });
  await us.sessions.get("bob's")!.app("chat", text("stays"));
  await cluster.converged();
  const read = (region: Chatting, id: string) => region.sessions.get(id)?.appState("chat");
  for (const region of regions) {
    expect(read(region, parent.id)).toEqual(["hello", "later"]);
    expect(read(region, "one")).toEqual(["hello", "mine"]);
    expect(read(region, "both")).toEqual(["hello", "mine", "other's"]);
  }
  await us.users.erase("ada");
  await cluster.converged();
  for (const region of regions) {
    for (const id of [parent.id, "one", "other", "both"]) expect(read(region, id) ?? []).toEqual([]);
    expect(read(region, "bob's")).toEqual(["stays"]);
  }
});

test("openRegion({ reducers }) types what it makes, and says which failed: to who asked, and in health", async () => {
  const { eager: _, ...platform } = loneOptions();
  await using region = await openRegion(
    {
      dir: "data",
      reducers: {
        tally: {
          version: 2,
          empty: () => ({ total: 0 }),
          reduce: (state, { bytes }) => {
            if (bytes.length !== 1) throw new RangeError("One byte each");
            return { total: state.total + bytes[0]! };
          },
        },
        chat,
      },
    },
    platform,
  );
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  expectTypeOf(session.appState("tally")).toEqualTypeOf<{ total: number }>();
  expect(session.appState("chat")).toEqual([]);
  await session.app("tally", Uint8Array.of(3));
  await session.app("tally", Uint8Array.of(4));
  expect(session.appState("tally")).toEqual({ total: 7 });
  expect(region.health().reducers).toEqual({
    tally: { version: 2, failures: 0 },
    chat: { version: 1, failures: 0 },
  });
  await session.app("tally", text("four"));
  await session.app("chat", text("hello"));
  expect(() => session.appState("tally")).toThrow(
    expect.objectContaining({ code: "REDUCER_FAILED", cause: expect.any(RangeError) as RangeError }),
  );
  // Nothing else is hurt by it.
  expect(session.appState("chat")).toEqual(["hello"]);
  expect(session.state().apps.get("tally")).toHaveLength(3);
  expect(region.health().reducers["tally"]).toEqual({ version: 2, failures: 1 });
  expect(region.health().reasons.join()).toContain("The reducer of tally failed");
  // @ts-expect-error It was opened without a reducer of that name.
  expect(() => session.appState("nothing")).toThrow(TypeError);
  await expect(
    openRegion({ dir: "other", reducers: { chat: { ...chat, version: 0 } } }, platform),
  ).rejects.toThrow(TypeError);
});

test("SES-7a the operations of a namespace are read as a reducer is given them, without those that the caller knows", async () => {
  await using cluster = new Cluster(["us-east", "eu-west"]);
  const east = await cluster.open("us-east", { bootstrap: true });
  const west = await cluster.open("eu-west");
  await Promise.all([east.ready(WAIT), west.ready(WAIT)]);
  const { id } = await east.sessions.start({ user: "ada", agent: "scout" });
  const first = await east.sessions.get(id)!.app("chat", text("one"));
  await east.sessions.get(id)!.app("other", text("elsewhere"));
  await cluster.converged();
  const read = west.sessions.get(id)!.appOperations("chat");
  expect(read).toMatchObject([
    { effectId: first.effectId, session: id, user: "ada", position: first.position },
  ]);
  read[0]!.bytes.fill(0);
  expect(new TextDecoder().decode(west.sessions.get(id)!.appOperations("chat")[0]!.bytes)).toBe("one");

  const second = await west.sessions.get(id)!.app("chat", text("two"));
  const known = new Set([first.effectId]);
  const rest = west.sessions.get(id)!.appOperations("chat", { known: (effectId) => known.has(effectId) });
  expect(rest.map(({ effectId }) => effectId)).toEqual([second.effectId]);
  expect(west.sessions.get(id)!.appOperations("nothing")).toEqual([]);
});
