import type { AgentInputItem, SessionHistoryTransaction } from "@openai/agents-core";
import { openMemoryKv } from "@tidemark/kv";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JournalNetwork } from "../../session-store/test/journal-network.ts";
import { type TidemarkSession, TidemarkSessions } from "../src/index.ts";
import { call, user } from "./session-contract.ts";

const REGIONS = ["us-east", "eu-west"] as const;
const texts = (items: readonly AgentInputItem[]) =>
  items.map((item) => (item.type === "function_call" ? item.name : (item as { content: string }).content));

/** The same session in each region, each over a key-value store of its own. */
function openRegions() {
  const network = new JournalNetwork(REGIONS, { entryBytesMax: 4_096 });
  const open = (name: string) => new TidemarkSessions({ kv: openMemoryKv(), journal: network.journal(name) });
  const [us, eu] = [open(REGIONS[0]), open(REGIONS[1])];
  return { network, us: us.session("trip"), eu: eu.session("trip"), europe: eu };
}

const appended = (...items: string[]): SessionHistoryTransaction => ({
  type: "append_items",
  items: items.map(user),
});

test("what two regions add at once is in both, in one order", async () => {
  const { network, us, eu } = openRegions();
  await us.addItems([user("one")]);
  network.deliverAll();
  await us.addItems([user("us 1"), user("us 2")]);
  await eu.addItems([user("eu 1")]);
  await us.addItems([user("us 3")]);
  network.deliverAll();
  const found = texts(await us.getItems());
  expect(texts(await eu.getItems())).toEqual(found);
  expect(found[0]).toBe("one");
  expect(found.toSorted()).toEqual(["eu 1", "one", "us 1", "us 2", "us 3"]);
  expect(found.filter((text) => text.startsWith("us"))).toEqual(["us 1", "us 2", "us 3"]);
});

test("a transaction that is tried again in another region, before or after it came there, counts once", async () => {
  const { network, us, eu } = openRegions();
  await us.applyHistoryTransaction({ operationId: "1", transaction: appended("one", "two") });
  await eu.applyHistoryTransaction({ operationId: "1", transaction: appended("one", "two") });
  await eu.addItems([user("three")]);
  network.deliverAll();
  for (const session of [us, eu]) expect(texts(await session.getItems())).toEqual(["one", "two", "three"]);
  await us.applyHistoryTransaction({ operationId: "1", transaction: appended("one", "two") });
  await expect(
    us.applyHistoryTransaction({ operationId: "1", transaction: appended("other") }),
  ).rejects.toMatchObject({
    code: "OPENAI_AGENTS_OPERATION_CONFLICT",
  });
  // What is removed of the copy that counts does not come back by the other.
  await us.popItem();
  await us.popItem();
  await us.popItem();
  network.deliverAll();
  for (const session of [us, eu]) expect(texts(await session.getItems())).toEqual([]);
});

test.each(["clearSession", "replaceHistoryWithCompaction"] as const)(
  "%s() takes what it has seen, and leaves what another region adds meanwhile",
  async (method) => {
    const { network, us, eu } = openRegions();
    await us.addItems([user("one")]);
    await eu.addItems([user("two")]);
    network.deliverAll();
    await eu.addItems([user("meanwhile")]);
    await us[method]([user("short")]);
    network.deliverAll();
    const left = method === "clearSession" ? ["meanwhile"] : ["meanwhile", "short"];
    for (const session of [us, eu]) expect(texts(await session.getItems()).toSorted()).toEqual(left);
    await eu.clearSession();
    network.deliverAll();
    for (const session of [us, eu]) expect(await session.getItems()).toEqual([]);
  },
);

test("follow() applies what arrives as it arrives", async () => {
  const { network, us, europe } = openRegions();
  const stop = new AbortController();
  const failed: unknown[] = [];
  const following = europe.follow({ signal: stop.signal, onError: (_session, error) => failed.push(error) });
  await us.addItems([user("one")]);
  network.deliverAll();
  await expect.poll(() => europe.session("trip").getItems()).toHaveLength(1);
  stop.abort();
  await following;
  expect(failed).toEqual([]);
  const alone = new TidemarkSessions({ kv: openMemoryKv() });
  await expect(alone.follow({ signal: stop.signal, onError: () => undefined })).rejects.toThrow(TypeError);
});

test("RUN-13 whatever two regions add, take and replace, in whatever order it arrives, both end with the same", async () => {
  const step = fc.record({
    region: fc.constantFrom<0 | 1>(0, 1),
    do: fc.constantFrom(
      "add",
      "add",
      "append",
      "append",
      "replace",
      "pop",
      "mutate",
      "compact",
      "clear",
      "one",
      "one",
      "all",
    ),
    text: fc.constantFrom("a", "b", "c"),
    operationId: fc.constantFrom("1", "2"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { network, us, eu } = openRegions();
      const sessions = [us, eu] as const;
      for (const { region, do: what, text, operationId } of steps) {
        if (what === "one") network.deliver(REGIONS[region], REGIONS[1 - region]!, 1);
        else if (what === "all") network.deliverAll();
        else await perform(sessions[region], what, text, operationId);
      }
      network.deliverAll();
      expect(await us.getItems()).toEqual(await eu.getItems());
      // And both go on.
      await us.addItems([user("last")]);
      network.deliverAll();
      const found = await eu.getItems();
      expect(texts(found).at(-1)).toBe("last");
      expect(await us.getItems()).toEqual(found);
    }),
    { numRuns: 150 },
  );
});

async function perform(
  session: TidemarkSession,
  what: string,
  text: string,
  operationId: string,
): Promise<void> {
  const applied = async (transaction: SessionHistoryTransaction): Promise<void> => {
    try {
      await session.applyHistoryTransaction({ operationId, transaction });
    } catch (error) {
      if (!["OPENAI_AGENTS_OPERATION_CONFLICT"].includes((error as { code?: string }).code ?? ""))
        throw error;
    }
  };
  if (what === "add") await session.addItems([user(text), call("a")]);
  else if (what === "append") await applied(appended(text));
  else if (what === "pop") await session.popItem();
  else if (what === "compact") await session.replaceHistoryWithCompaction([user(`short ${text}`)]);
  else if (what === "clear") await session.clearSession();
  else if (what === "mutate") {
    const mutations = [{ type: "replace_function_call" as const, callId: "a", replacement: call("b", text) }];
    await session.applyHistoryMutations({ mutations });
  } else {
    const expectedSuffix = (await session.getItems()).slice(-2);
    await applied({ type: "replace_suffix", expectedSuffix, replacement: [user(`instead ${text}`)] });
  }
}
