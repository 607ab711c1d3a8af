import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { openFaultProxy, startNats } from "@tidemark/servers";
import type { NatsServer } from "@tidemark/servers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { hasServer, newPrefix, openOn, QUICK } from "./broker.ts";
import { notesOf, Pair } from "./pair.ts";

/** A thousand by the spec, some by default: each takes as long as a broker takes to come back. */
const CYCLES = Number(process.env["TIDEMARK_CHAOS_CYCLES"] ?? 4);
const SHORT_WINDOW = { ...QUICK, stream: { ...QUICK.stream, duplicateWindowMs: 100 } };

describe.skipIf(!(await hasServer()))("two regions over NATS", { timeout: 60_000 }, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server.remove());

  test("SES-15 what is written in one region is read in the other within 2 s", async () => {
    const prefix = newPrefix();
    await using pair = await Pair.open(() => openOn(server.port, prefix));
    const { us, eu } = pair;
    const metadata = { title: "An evening in" };
    const session = await us.sessions.start({ user: "ada", agent: "guide", metadata });
    await session.prefer("mood", "quiet");
    await session.annotate("likes silent films");
    const moved = await eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
    expect(moved.state()).toMatchObject({ metadata, annotations: [{ text: "likes silent films" }] });
    expect(moved.state().hints.get("mood")).toBe("quiet");
    const lagsMs: number[] = [];
    for (let index = 0; index < 50; index++) {
      await session.annotate(`note ${index}`);
      const startedMs = performance.now();
      await eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
      lagsMs.push(performance.now() - startedMs);
    }
    const sorted = lagsMs.toSorted((left, right) => left - right);
    process.stdout.write(
      `SES-15 over NATS: acknowledged here to applied there, median ${sorted[25]!.toFixed(1)} ms, most ${sorted[49]!.toFixed(1)} ms\n`,
    );
    expect(sorted[49]).toBeLessThan(2_000);
    for (const item of ["a", "b", "c", "d", "e"]) await session.signal(item, "like", 1);
    const there = await eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
    expect([...there.state().signals.keys()].toSorted()).toEqual(["a", "b", "c", "d", "e"]);
    await pair.converged();
  });

  test("SES-15 one operation sent to both regions counts once, by its id and by a ticket, also while cut", async () => {
    const prefix = newPrefix();
    await using proxy = await openFaultProxy({ target: server.port });
    await using pair = await Pair.open((id) => openOn(id === 1 ? proxy.port : server.port, prefix));
    const { us, eu } = pair;
    const session = await us.sessions.start({ user: "ada", agent: "guide" });
    const there = await eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
    await session.annotate("one", { operationId: "op-1" });
    await eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
    expect((await there.annotate("one", { operationId: "op-1" })).outcome).toBe("duplicate");
    proxy.cut();
    await session.annotate("two", { operationId: "op-2" });
    await there.annotate("two", { operationId: "op-2" });
    await session.annotate("three", { operationId: "op-3" });
    await session.hide("Casablanca");
    const ada = await eu.users.resume("ada", { ticket: session.ticket() });
    // From the moment it was handed the ticket.
    expect(ada.filterVisible(["Casablanca", "Metropolis"])).toEqual(["Metropolis"]);
    const again = await ada.session(session.id);
    expect((await again.annotate("three", { operationId: "op-3" })).outcome).toBe("duplicate");
    proxy.heal();
    await pair.converged();
    expect(notesOf(pair, session.id)).toEqual(["one", "three", "two"]);
    for (const region of pair.regions)
      expect(region.users.get("ada").filterVisible(["Casablanca", "Metropolis"])).toEqual(["Metropolis"]);
  });

  /** What happens to the broker under way. Each comes back by itself; none may be noticed by a client. */
  const DISASTERS: Readonly<Record<string, (at: NatsServer, prefix: string) => Promise<void>>> = {
    "scenario 41 it is killed": async (at) => {
      await at.kill();
      await at.start();
    },
    "scenario 18 its streams are deleted": (at, prefix) =>
      asOperator(at, prefix, (streams, name) => streams.delete(name)),
    "scenario 19 its streams are emptied before they are read": (at, prefix) =>
      asOperator(at, prefix, (streams, name) => streams.purge(name)),
    "scenario 21 it fails over to files that lack the end": async (at, prefix) => {
      const lastOf = async (): Promise<number> => {
        let last = 0;
        await asOperator(at, prefix, async (streams, name) => {
          last += (await streams.info(name)).state.last_seq;
        });
        return last;
      };
      await at.kill();
      const [js, old] = [join(at.dir, "js"), join(at.dir, "old")];
      cpSync(js, old, { recursive: true });
      await at.start();
      const before = await lastOf();
      await vi.waitFor(async () => expect(await lastOf()).toBeGreaterThan(before + 5), 10_000);
      await at.kill();
      rmSync(js, { recursive: true });
      cpSync(old, js, { recursive: true });
      rmSync(old, { recursive: true });
      await at.start();
    },
    "scenario 20 it is frozen for longer than it remembers repeats": async (at) => {
      at.freeze();
      try {
        await passed(600);
      } finally {
        at.thaw();
      }
    },
    "scenario 18 it loses everything": async (at) => {
      await at.kill();
      rmSync(join(at.dir, "js"), { recursive: true });
      await at.start();
    },
  };

  test.each(Object.entries(DISASTERS))(
    "%s while both regions write: nothing is lost, doubled or different",
    async (_, disaster) => {
      await using own = await startNats();
      const prefix = newPrefix();
      await using pair = await Pair.open(() => openOn(own.port, prefix, SHORT_WINDOW));
      const session = await pair.us.sessions.start({ user: "ada", agent: "guide" });
      const there = await pair.eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 5_000 });
      const written: string[] = [];
      let writing = true;
      const write = async (handle: typeof session, region: string): Promise<void> => {
        for (let index = 0; writing; index++) {
          const text = `${region} ${index}`;
          const { outcome } = await handle.annotate(text, { operationId: text });
          expect(outcome).toBe("applied");
          written.push(text);
          await passed(2);
        }
      };
      const writers = Promise.all([write(session, "us"), write(there, "eu")]);
      for (let cycle = 0; cycle < Math.max(1, Math.ceil(CYCLES / 2)); cycle++) {
        const before = written.length;
        await disaster(own, prefix);
        await vi.waitFor(() => expect(written.length).toBeGreaterThan(before + 20), 10_000);
        const item = `item ${cycle}`;
        await session.hide(item);
        // Whoever is shown the hide is never shown the item.
        await pair.eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 15_000 });
        expect(pair.eu.users.get("ada").filterVisible([item])).toEqual([]);
      }
      writing = false;
      await writers;
      await pair.converged();
      expect(notesOf(pair, session.id)).toEqual(written.toSorted());
    },
  );

  test(`scenario 41 it is killed ${CYCLES} times in turn: both regions hold every write once`, async () => {
    await using own = await startNats();
    const prefix = newPrefix();
    await using pair = await Pair.open(() => openOn(own.port, prefix));
    const session = await pair.us.sessions.start({ user: "ada", agent: "guide" });
    const there = await pair.eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 5_000 });
    const written: string[] = [];
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await own.kill();
      for (const [handle, region] of [
        [session, "us"],
        [there, "eu"],
      ] as const) {
        const text = `${region} ${cycle}`;
        await handle.annotate(text, { operationId: text });
        written.push(text);
      }
      await own.start();
      await pair.converged();
      expect(notesOf(pair, session.id)).toEqual(written.toSorted());
    }
  });

  async function asOperator(
    at: NatsServer,
    prefix: string,
    run: (streams: Awaited<ReturnType<typeof jetstreamManager>>["streams"], name: string) => Promise<unknown>,
  ): Promise<void> {
    await using connection = await connect({ servers: at.url });
    const { streams } = await jetstreamManager(connection);
    for (const region of [1, 2]) await run(streams, `${prefix}+sessions+${region}`);
  }
});

/** Lets time pass that a fault lasts, or that a client takes between two writes. */
function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
