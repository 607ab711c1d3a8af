import { type Kv, openMemoryKv } from "@tidemark/kv";
import { interruptingKv } from "@tidemark/kv-conformance";
import { afterAll, expect, test } from "vitest";
import { Zones } from "../src/index.ts";
import { stateText } from "./zones-on-memory.ts";

const NOW_MS = 1_790_000_000_000;
const crashes: Record<string, number> = {};

afterAll(() => {
  const total = Object.values(crashes).reduce((sum, count) => sum + count, 0);
  process.stdout.write(`Crashes of calls to the store: ${total} (${JSON.stringify(crashes)})\n`);
});

/** Everything that is there of an agent, as its user sees it. */
async function shown(kv: Kv): Promise<unknown> {
  const zones = new Zones({ kv });
  const archives = [];
  for (const row of await zones.listArchives("a", { limit: 100 }))
    archives.push({ row, content: await zones.readArchive("a", row.archivedAtMs) });
  const current = await zones.recoverSession("a");
  return { current: current ?? null, archives };
}

async function prepared(): Promise<Kv> {
  const kv = openMemoryKv({ nowMs: () => NOW_MS });
  const zones = new Zones({ kv });
  for (const said of ["one", "two"]) {
    await zones.appendSessionOutput("a", [said]);
    await zones.writeSessionState("a", stateText(said, "x".repeat(10)), { revision: 1, logOffset: 0 });
    await zones.archiveSession("a");
  }
  const { end } = await zones.appendSessionOutput("a", ["three"]);
  await zones.writeSessionState("a", stateText("three"), { revision: 1, logOffset: end });
  await zones.appendSessionOutput("a", ["four"]);
  return kv;
}

/** Calls that are the same when they are made again, though they may say that there is nothing left to do. */
const STEPS: Readonly<Record<string, (zones: Zones) => Promise<unknown>>> = {
  write: (zones) =>
    zones.writeSessionState("a", stateText("new", "y".repeat(140_000)), { revision: 2, logOffset: 15 }),
  archive: (zones) => zones.archiveSession("a"),
  restore: (zones) => zones.restoreArchive("a", NOW_MS),
  delete: (zones) => zones.deleteArchive("a", NOW_MS),
  retain: (zones) => zones.retain("a", { keepMax: 1 }),
};

test.each(Object.entries(STEPS))(
  "ZON-3a ZON-4 A-13 A-23 a crash of any call of %s leaves what was or what comes of it; run again it ends right",
  async (name, step) => {
    const before = await prepared();
    const was = await shown(before);
    await step(new Zones({ kv: before }));
    const after = await shown(before);
    expect(after).not.toEqual(was);
    crashes[name] = 0;
    for (const when of ["before", "after"] as const) {
      for (let at = 1; ; at++) {
        const kv = await prepared();
        const interrupting = interruptingKv(kv, { at, when });
        const outcome = await step(new Zones({ kv: interrupting })).then(
          () => "done",
          (error: unknown) => (error as { code?: string }).code,
        );
        if (!interrupting.interrupted) break;
        crashes[name] += 1;
        expect(outcome).toBe("STORAGE_FAILED");
        const left = JSON.stringify(await shown(kv));
        // Of several archives that go, some may be gone.
        if (name !== "retain") expect([JSON.stringify(was), JSON.stringify(after)]).toContain(left);
        await step(new Zones({ kv })).catch((error: unknown) =>
          expect(error).toMatchObject({ code: "ZONE_UNKNOWN" }),
        );
        expect(await shown(kv)).toEqual(after);
      }
    }
    expect(crashes[name]).toBeGreaterThan(6);
  },
);

test("ZON-3 a crash of any call of an append leaves all of its values or none", async () => {
  crashes["append"] = 0;
  for (const when of ["before", "after"] as const) {
    for (let at = 1; ; at++) {
      const kv = await prepared();
      const interrupting = interruptingKv(kv, { at, when });
      await new Zones({ kv: interrupting })
        .appendSessionOutput("a", ["x".repeat(5_000), "six"])
        .catch(() => undefined);
      if (!interrupting.interrupted) break;
      crashes["append"] += 1;
      const recovered = await new Zones({ kv }).recoverSession("a");
      expect([1, 3]).toContain(recovered?.entries.length);
    }
  }
});
