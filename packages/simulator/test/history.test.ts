import { nobleHasher } from "@tidemark/core";
import { openRegion } from "@tidemark/region";
import { memoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import { failureOf, History, outcomeOf, parseHistory, shownSession } from "../src/index.ts";
import type { HistoryEvent } from "../src/index.ts";

test("SIM-1 a history holds what a client did and a region applied, as lines that read back", async () => {
  const lines: string[] = [];
  const history = new History({ now: () => 7, sink: (event) => lines.push(JSON.stringify(event)) });
  const region = await openRegion(
    { dir: "data" },
    {
      fs: memoryFs(),
      volatile: false,
      now: () => 1_790_000_000_000,
      timers: { now: () => 0, setTimer: () => () => undefined },
      randomBytes: (count) => new Uint8Array(count).fill(1),
      hasher: nobleHasher,
    },
  );
  const stop = history.observe(region, { life: 1, wallMs: () => 1_790_000_000_000 });
  const at = { client: "c", region: region.name, life: 1, user: "ada", session: "s" };
  const start = history.write({ ...at, operation: "start" });
  const session = await region.sessions.start({ id: "s", user: "ada", agent: "a" });
  history.returned(start, { kind: "applied" });
  const note = history.write({ ...at, operation: "annotate", text: "one", operationId: "n" });
  history.returned(note, outcomeOf(await session.annotate("one", { operationId: "n" })));
  const again = history.write({ ...at, client: "d", operation: "annotate", text: "one", operationId: "n" });
  history.returned(again, outcomeOf(await session.annotate("one", { operationId: "n" })));
  history.state({
    client: "e",
    region: region.name,
    life: 1,
    session: "s",
    shown: shownSession(session.state()),
  });
  stop();
  await session.annotate("two");
  await region.close();
  const late = history.write({ ...at, operation: "annotate", text: "three" });
  history.returned(late, await session.annotate("three").then(outcomeOf, failureOf));

  expect(again.outcome?.kind).toBe("duplicate");
  expect(late.outcome).toEqual({ kind: "failed", code: "REGION_CLOSED" });
  for (const client of ["d", "e"]) expect(history.mustOf(client, "ada")).toEqual([note.index]);
  expect(history.mustOf("c", "ada")).toEqual([start.index, note.index]);
  expect(history.mustOf("c", "bob")).toEqual([]);
  const applied = history.events.filter(({ type }) => type === "applied");
  expect(applied.map((event) => "kind" in event && event.kind)).toEqual(["start", "annotate"]);
  const cut = [...lines, '{"type":"fault","ind'].join("\n");
  expect(parseHistory(cut)).toEqual<HistoryEvent[]>(history.events);
});

test("SIM-1 a client that moves with nothing in hand expects nothing", () => {
  const history = new History({ now: () => 0 });
  const write = history.write({
    client: "c",
    region: "east",
    life: 1,
    user: "ada",
    session: "s",
    operation: "hide",
    item: "x",
  });
  expect(history.mustOf("c", "ada")).toEqual([]);
  history.returned(write, { kind: "applied" });
  expect(history.mustOf("c", "ada")).toEqual([write.index]);
  history.moved("c", "west");
  expect(history.mustOf("c", "ada")).toEqual([]);
});
