import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { type Kv, openMemoryKv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openRegion } from "@tidemark/region/node";
import { regionJournal } from "@tidemark/session-store";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TidemarkSaver } from "../src/index.ts";
import { collected, configOf } from "./saver-bench.ts";

/** What a model would answer, in order: no network. */
const SCRIPT = ["look up flights", "ask", "book the 9:40"];

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

/** A model in a loop with a tool that asks the user. */
const workflow = new StateGraph(State)
  .addNode("model", ({ log }) => {
    const said = log.filter((line) => line.startsWith("model: ")).length;
    return { log: [`model: ${SCRIPT[said]}`] };
  })
  .addNode("user", () => ({ log: [`user: ${interrupt<string, string>("Which one?")}`] }))
  .addEdge(START, "model")
  .addConditionalEdges("model", ({ log }) => {
    if (log.at(-1) === "model: ask") return "user";
    return log.at(-1)!.startsWith("model: book") ? END : "model";
  })
  .addEdge("user", "model");

const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-langgraph-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const STORES: Record<string, (name: string) => Promise<Kv>> = {
  memory: () => Promise.resolve(openMemoryKv()),
  LMDB: (name) => openLmdbKv({ dir: join(dir, `kv-${name}`) }),
};

test.each(Object.keys(STORES))(
  "RUN-12 RUN-13 a graph that is interrupted in one region goes on in another, over %s",
  async (kind) => {
    await using network = createInProcessNetwork();
    const open = async (name: string, bootstrap: boolean) => {
      const { clusterKey } = network;
      const transport = network.join(name);
      const region = await openRegion({
        name,
        members,
        bootstrap,
        dir: join(dir, name),
        transport,
        clusterKey,
      });
      const kv = await STORES[kind]!(name);
      const saver = new TidemarkSaver({ kv, journal: regionJournal(region, { user: "ada" }) });
      const graph = workflow.compile({ checkpointer: saver });
      const close = async (): Promise<void> => {
        await region.close();
        await kv.close();
      };
      return { region, saver, graph, [Symbol.asyncDispose]: close };
    };
    await using us = await open("us-east", true);
    await using eu = await open("eu-west", false);
    await eu.region.ready();
    const thread = configOf("trip");
    const stopped = await us.graph.invoke({ log: ["user: to Lisbon"] }, thread);
    expect(stopped).toMatchObject({ __interrupt__: [{ value: "Which one?" }] });

    const cursor = us.region.sessions.get("trip")!.cursor();
    await eu.region.sessions.resume("trip", { cursor, timeoutMs: 20_000 });
    expect(await collected(eu.saver.list(thread))).toEqual(await collected(us.saver.list(thread)));
    const { log } = await eu.graph.invoke(new Command({ resume: "the early one" }), thread);
    const whole = [
      "user: to Lisbon",
      "model: look up flights",
      "model: ask",
      "user: the early one",
      "model: book the 9:40",
    ];
    expect(log).toEqual(whole);

    // And back: the first region has every step of it.
    const back = eu.region.sessions.get("trip")!.cursor();
    await us.region.sessions.resume("trip", { cursor: back, timeoutMs: 20_000 });
    expect((await us.graph.getState(thread)).values).toEqual({ log: whole });
    expect(await collected(us.saver.list(thread))).toEqual(await collected(eu.saver.list(thread)));
  },
);
