import {
  Agent,
  type AgentInputItem,
  RunState,
  Runner,
  type SessionHistoryRewriteAwareSession,
  type SessionHistoryTransaction,
  type SessionHistoryTransactionAwareSession,
  tool,
} from "@openai/agents-core";
import { assistantMessage, functionCall, ScriptedModel } from "@openai/agents-core/testing";
import { z } from "zod";

/** What both `MemorySession` and ours can do. */
export type WholeSession = SessionHistoryTransactionAwareSession & SessionHistoryRewriteAwareSession;

export function user(text: string): AgentInputItem {
  return { type: "message", role: "user", content: text };
}

export function call(callId: string, name = "book"): Extract<AgentInputItem, { type: "function_call" }> {
  return { type: "function_call", callId, name, arguments: "{}", status: "completed" };
}

/** Whether a call ended, and with what; which error it was is each session's own. */
export async function ended(call: unknown): Promise<unknown> {
  try {
    return { gave: await call };
  } catch {
    return "failed";
  }
}

const appended = (...items: AgentInputItem[]): SessionHistoryTransaction => ({ type: "append_items", items });
const replaced = (
  expectedSuffix: AgentInputItem[],
  ...replacement: AgentInputItem[]
): SessionHistoryTransaction => ({
  type: "replace_suffix",
  expectedSuffix,
  replacement,
});

/** An agent that asks to book, may book after it is allowed to, and says what it did. */
export function bookingAgent(answers: ConstructorParameters<typeof ScriptedModel>[0], booked: string[]) {
  const book = tool({
    name: "book",
    description: "Books a flight",
    parameters: z.object({}),
    needsApproval: true,
    execute: () => {
      booked.push("the 9:40");
      return "booked";
    },
  });
  return new Agent({ name: "guide", model: new ScriptedModel(answers), tools: [book] });
}

/** A runner that tells nobody what it does. */
export const runner: Runner = new Runner({ tracingDisabled: true });

/** A check of a session: what it gives is compared with what the reference gives. */
export interface SessionCheck {
  readonly name: string;
  run(session: WholeSession): Promise<unknown>;
}

/** What every session does as `MemorySession` does it. */
export const SESSION_CHECKS: readonly SessionCheck[] = [
  {
    name: "a session is empty at first",
    run: async (session) => [
      await session.getSessionId(),
      await session.getItems(),
      await session.getItems(3),
      await ended(session.popItem()),
      await ended(session.clearSession()),
      await ended(session.addItems([])),
      await session.getItems(),
    ],
  },
  {
    name: "items come in the order they were added in, with a limit the last of them",
    async run(session) {
      await session.addItems([user("one"), user("two")]);
      await session.addItems([user("three")]);
      const limits = [undefined, 0, 1, 2, 3, 4, -1];
      return Promise.all(limits.map((limit) => session.getItems(limit)));
    },
  },
  {
    name: "popItem() takes the last item each time",
    async run(session) {
      await session.addItems([user("one"), user("two")]);
      await session.addItems([user("three")]);
      const popped = [];
      for (let count = 0; count < 4; count++) popped.push(await session.popItem(), await session.getItems());
      return popped;
    },
  },
  {
    name: "items are what they were: text of all kinds, bytes, nested fields",
    async run(session) {
      const data = {
        "~bytes": 1,
        "~~": [null, { "~bytes": "AA==" }],
        "": "\u0000 é 🌊 \uD800",
        constructor: 1,
      };
      await session.addItems([
        { ...user("é"), providerData: data },
        {
          type: "function_call_result",
          callId: "1",
          name: "read",
          status: "completed",
          output: [
            { type: "input_file", file: { data: Uint8Array.of(0, 255, 7), mediaType: "x/y", filename: "f" } },
          ],
        } as unknown as AgentInputItem,
      ]);
      return session.getItems();
    },
  },
  {
    name: "what a caller does with its items afterwards changes nothing",
    async run(session) {
      const item = user("one") as { content: string };
      await session.addItems([item as AgentInputItem]);
      item.content = "changed";
      const [got] = (await session.getItems()) as { content: string }[];
      got!.content = "changed";
      return session.getItems();
    },
  },
  {
    name: "a transaction of one id is applied once, and another of that id not at all",
    async run(session) {
      const outcomes = [];
      for (const [operationId, transaction] of [
        ["1", appended(user("one"))],
        ["1", appended(user("one"))],
        ["1", appended(user("two"))],
        ["1", replaced([user("one")], user("two"))],
        ["2", appended(user("two"), user("three"))],
        ["1", appended({ content: "one", role: "user", type: "message" })],
        ["3", appended()],
        ["3", appended()],
        ["3", appended(user("late"))],
        [" ", appended(user("blank"))],
      ] as const) {
        outcomes.push(await ended(session.applyHistoryTransaction({ operationId, transaction })));
        outcomes.push(await session.getItems());
      }
      return outcomes;
    },
  },
  {
    name: "a suffix is replaced if it is the one that is expected",
    async run(session) {
      await session.addItems([user("one"), user("two"), user("three")]);
      await session.addItems([user("four")]);
      const outcomes = [];
      for (const [operationId, transaction] of [
        ["1", replaced([user("other")], user("five"))],
        ["2", replaced([user("three"), user("four")], user("five"), user("six"))],
        ["2", replaced([user("three"), user("four")], user("five"), user("six"))],
        ["3", replaced([], user("seven"))],
        ["4", replaced([user("seven")])],
        ["5", replaced(["zero", "one", "two", "five", "six"].map(user))],
        ["6", replaced(["one", "two", "five", "six"].map(user))],
        ["1", appended(user("again"))],
      ] as const) {
        outcomes.push(await ended(session.applyHistoryTransaction({ operationId, transaction })));
        outcomes.push(await session.getItems());
      }
      return outcomes;
    },
  },
  {
    name: "a session that is cleared forgets items and operations",
    async run(session) {
      await session.addItems([user("one")]);
      await session.applyHistoryTransaction({ operationId: "1", transaction: appended(user("two")) });
      await session.applyHistoryTransaction({ operationId: "2", transaction: replaced([user("two")]) });
      await session.clearSession();
      const cleared = await session.getItems();
      await session.applyHistoryTransaction({ operationId: "1", transaction: appended(user("three")) });
      const again = await ended(
        session.applyHistoryTransaction({ operationId: "2", transaction: replaced([]) }),
      );
      return [cleared, await session.getItems(), again, await session.popItem(), await session.getItems()];
    },
  },
  {
    name: "mutations replace the first call of an id and drop the further ones",
    async run(session) {
      await session.addItems([user("one"), call("a"), call("b")]);
      await session.addItems([call("a")]);
      await session.addItems([call("a"), user("two")]);
      await session.applyHistoryMutations({
        mutations: [
          { type: "replace_function_call", callId: "a", replacement: call("c", "first") },
          { type: "replace_function_call", callId: "c", replacement: call("d", "second") },
          { type: "replace_function_call", callId: "nowhere", replacement: call("e") },
        ],
      });
      const once = await session.getItems();
      await session.applyHistoryMutations({ mutations: [] });
      return [once, await session.getItems()];
    },
  },
  {
    name: "a run adds what was said, and the next one knows it",
    async run(session) {
      const first = new ScriptedModel([[assistantMessage("Hello", { id: "m1" })]]);
      const second = new ScriptedModel([[assistantMessage("You are Ada", { id: "m2" })]]);
      await runner.run(new Agent({ name: "guide", model: first }), "I am Ada", { session });
      const told = await runner.run(new Agent({ name: "guide", model: second }), "Who am I?", { session });
      return [told.finalOutput, await session.getItems(), second.calls[0]!.request.input];
    },
  },
  {
    name: "a run that is interrupted and resumed from its state writes each item once",
    async run(session) {
      const booked: string[] = [];
      const asks = bookingAgent([[functionCall("book", {}, { callId: "c1", id: "f1" })]], booked);
      const stopped = await runner.run(asks, "Book it", { session });
      const before = await session.getItems();
      // Another process has the text of the state, and the session.
      const agent = bookingAgent([[assistantMessage("It is booked", { id: "m1" })]], booked);
      const state = await RunState.fromString(agent, stopped.state.toString());
      for (const interruption of state.getInterruptions()) state.approve(interruption);
      const { finalOutput } = await runner.run(agent, state, { session });
      return [stopped.interruptions.length, before, finalOutput, booked, await session.getItems()];
    },
  },
];
