import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunState } from "@openai/agents-core";
import { assistantMessage, functionCall } from "@openai/agents-core/testing";
import { openMemoryKv } from "@tidemark/kv";
import { openRegion } from "@tidemark/region/node";
import { regionJournal } from "@tidemark/session-store";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TidemarkSessions } from "../src/index.ts";
import { bookingAgent, runner } from "./session-contract.ts";

const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-openai-agents-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test("RUN-12 RUN-13 a run that is interrupted in one region is resumed in another, and each item is written once", async () => {
  await using network = createInProcessNetwork();
  const { clusterKey } = network;
  const open = async (name: string, bootstrap: boolean) => {
    const transport = network.join(name);
    const region = await openRegion({
      name,
      members,
      bootstrap,
      dir: join(dir, name),
      transport,
      clusterKey,
    });
    const kv = openMemoryKv();
    const sessions = new TidemarkSessions({ kv, journal: regionJournal(region, { user: "ada" }) });
    const close = async (): Promise<void> => {
      await region.close();
      await kv.close();
    };
    return { region, session: sessions.session("trip"), [Symbol.asyncDispose]: close };
  };
  await using us = await open("us-east", true);
  await using eu = await open("eu-west", false);
  await eu.region.ready();

  const booked: string[] = [];
  const asks = bookingAgent([[functionCall("book", {}, { callId: "c1", id: "f1" })]], booked);
  const stopped = await runner.run(asks, "Book it", { session: us.session });
  expect(stopped.interruptions).toHaveLength(1);

  // What the other region needs: the text of the state, and the cursor that says what this one has written.
  const cursor = us.region.sessions.get("trip")!.cursor();
  const text = stopped.state.toString();
  await eu.region.sessions.resume("trip", { cursor, timeoutMs: 20_000 });
  expect(await eu.session.getItems()).toEqual(await us.session.getItems());
  const agent = bookingAgent([[assistantMessage("It is booked", { id: "m1" })]], booked);
  const state = await RunState.fromString(agent, text);
  for (const interruption of state.getInterruptions()) state.approve(interruption);
  const { finalOutput } = await runner.run(agent, state, { session: eu.session });
  expect({ finalOutput, booked }).toEqual({ finalOutput: "It is booked", booked: ["the 9:40"] });

  const back = eu.region.sessions.get("trip")!.cursor();
  await us.region.sessions.resume("trip", { cursor: back, timeoutMs: 20_000 });
  const items = await us.session.getItems();
  expect(items).toEqual(await eu.session.getItems());
  expect(items.map(({ type }) => type ?? "message")).toEqual([
    "message",
    "function_call",
    "function_call_result",
    "message",
  ]);
});
