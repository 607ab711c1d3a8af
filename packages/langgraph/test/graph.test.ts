import { Annotation, Command, interrupt, START, StateGraph } from "@langchain/langgraph";
import { openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { TidemarkSaver } from "../src/index.ts";
import { configOf } from "./saver-bench.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

/** Plans twice in a graph of its own, asks, and ends. */
const review = new StateGraph(State)
  .addNode("draft", () => ({ log: ["drafted"] }))
  .addNode("ask", () => ({ log: [`told ${interrupt<string, string>("Send it?")}`] }))
  .addEdge(START, "draft")
  .addEdge("draft", "ask")
  .compile();
const workflow = new StateGraph(State)
  .addNode("plan", () => ({ log: ["planned"] }))
  .addNode("review", review)
  .addNode("send", () => ({ log: ["sent"] }))
  .addEdge(START, "plan")
  .addEdge("plan", "review")
  .addEdge("review", "send");

test("RUN-13 a graph that was interrupted within a subgraph goes on from another saver", async () => {
  const kv = openMemoryKv();
  const open = () => workflow.compile({ checkpointer: new TidemarkSaver({ kv }) });
  const thread = configOf("t");
  const stopped = await open().invoke({ log: ["asked"] }, thread);
  expect(stopped).toMatchObject({ __interrupt__: [{ value: "Send it?" }] });
  const { log } = await open().invoke(new Command({ resume: "yes" }), thread);
  expect(log.at(-1)).toBe("sent");
  expect(log).toContain("told yes");
});

test("RUN-13 a graph goes back to an earlier step, and forks from there", async () => {
  const graph = workflow.compile({ checkpointer: new TidemarkSaver({ kv: openMemoryKv() }) });
  const thread = configOf("t");
  await graph.invoke({ log: ["asked"] }, thread);
  const states = [];
  for await (const state of graph.getStateHistory(thread)) states.push(state);
  const planned = states.find(({ next }) => next.includes("plan"))!;
  const fork = await graph.updateState(planned.config, { log: ["thought again"] });
  expect((await graph.getState(fork)).values.log).toEqual(["asked", "thought again"]);
  expect((await graph.getState(states[0]!.config)).values).toEqual(states[0]!.values);
  const copy = await graph.updateState(states[0]!.config, null, "__copy__");
  expect((await graph.getState(copy)).values).toEqual(states[0]!.values);
});
