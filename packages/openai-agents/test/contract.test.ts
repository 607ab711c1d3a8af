import { type AgentInputItem, MemorySession } from "@openai/agents-core";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { KVS } from "../../express-session/test/stores.ts";
import { TidemarkSessions } from "../src/index.ts";
import { call, ended, SESSION_CHECKS, user, type WholeSession } from "./session-contract.ts";

describe.each(Object.keys(KVS))("RUN-13 over %s", async (kind) => {
  const { kv, close } = await KVS[kind]!();
  afterAll(close);
  let count = 0;
  /** Two that are given the same id, and one object each time it is used, as if each call came from another process. */
  const openSession = (id: string): WholeSession =>
    new TidemarkSessions({ kv, prefix: `check-${count++}` }).session(id);

  test.each(SESSION_CHECKS)("as MemorySession: $name", async ({ run }) => {
    expect(await run(openSession("a"))).toEqual(await run(new MemorySession({ sessionId: "a" })));
  });

  test("whatever calls are made, the answers are those of MemorySession", async () => {
    const text = fc.constantFrom("one", "two");
    const item = fc.oneof(
      text.map(user),
      fc.constantFrom("a", "b").map((id) => call(id)),
    );
    const items = fc.array(item, { maxLength: 3 });
    const operationId = fc.constantFrom("1", "2", "3");
    const step = fc.oneof(
      fc.record({ do: fc.constant("add" as const), items }),
      fc.record({ do: fc.constant("append" as const), operationId, items }),
      // As many of the last as are there are expected, or others.
      fc.record({
        do: fc.constant("replace" as const),
        operationId,
        last: fc.nat({ max: 4 }),
        wrong: fc.boolean(),
        items,
      }),
      fc.record({
        do: fc.constant("mutate" as const),
        from: fc.constantFrom("a", "b"),
        to: fc.constantFrom("a", "b"),
      }),
      fc.record({
        do: fc.constant("get" as const),
        limit: fc.option(fc.integer({ min: -1, max: 5 }), { nil: undefined }),
      }),
      fc.record({ do: fc.constantFrom("pop" as const, "pop" as const, "clear" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const sessions = [openSession("a"), new MemorySession({ sessionId: "a" })];
        for (const one of steps) {
          const present = await sessions[1]!.getItems();
          const answers = await Promise.all(sessions.map((session) => ended(perform(session, one, present))));
          expect(answers[0], one.do).toEqual(answers[1]);
          expect(await sessions[0]!.getItems(), one.do).toEqual(await sessions[1]!.getItems());
        }
      }),
      { numRuns: kind === "memory" ? 200 : 15 },
    );
  });
});

type Step =
  | { readonly do: "add"; readonly items: AgentInputItem[] }
  | { readonly do: "append"; readonly operationId: string; readonly items: AgentInputItem[] }
  | {
      readonly do: "replace";
      readonly operationId: string;
      readonly last: number;
      readonly wrong: boolean;
      readonly items: AgentInputItem[];
    }
  | { readonly do: "mutate"; readonly from: string; readonly to: string }
  | { readonly do: "get"; readonly limit?: number | undefined }
  | { readonly do: "pop" | "clear" };

async function perform(session: WholeSession, step: Step, present: AgentInputItem[]): Promise<unknown> {
  switch (step.do) {
    case "add":
      return session.addItems(step.items);
    case "append": {
      const { operationId, items } = step;
      return session.applyHistoryTransaction({ operationId, transaction: { type: "append_items", items } });
    }
    case "replace": {
      const { operationId, items, last, wrong } = step;
      const expectedSuffix = last === 0 ? [] : present.slice(-last);
      if (wrong) expectedSuffix.unshift(user("one"));
      const transaction = { type: "replace_suffix", expectedSuffix, replacement: items } as const;
      return session.applyHistoryTransaction({ operationId, transaction });
    }
    case "mutate": {
      const { from: callId, to } = step;
      return session.applyHistoryMutations({
        mutations: [{ type: "replace_function_call", callId, replacement: call(to, "new") }],
      });
    }
    case "get":
      return session.getItems(step.limit);
    case "pop":
      return session.popItem();
    case "clear":
      return session.clearSession();
  }
}
