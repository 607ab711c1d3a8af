import fc from "fast-check";
import { expect, test } from "vitest";
import { stateText, World } from "./zones-on-memory.ts";

type Step =
  | { readonly do: "append"; readonly agent: string; readonly count: number }
  | { readonly do: "write"; readonly agent: string; readonly covers: number; readonly large: boolean }
  | { readonly do: "archive" | "restore" | "delete"; readonly agent: string; readonly which: number }
  | { readonly do: "clock"; readonly ms: number }
  | { readonly do: "open" };

const agent = fc.constantFrom("a", "ab");
const which = fc.nat({ max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      agent,
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      agent,
      covers: fc.nat({ max: 9 }),
      large: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("archive" as const, "restore" as const, "delete" as const),
      agent,
      which,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("clock" as const), ms: fc.integer({ min: -50, max: 50 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("open" as const) }) },
);

/** What a zone is to its user: a snapshot, and values with where they begin. */
interface Zone {
  state: string | undefined;
  values: { value: number; offset: number }[];
  shown: number;
  end: number;
}

/** All that is known of an agent, the naive way. */
interface Agent {
  current: Zone;
  archives: { ms: number; zone: Zone }[];
  lastMs: number;
}

const fresh = (): Zone => ({ state: undefined, values: [], shown: 0, end: 0 });
const blank = ({ state, values }: Zone): boolean => (state ?? "") === "" && values.length === 0;

test("ZON-3 ZON-4 ZON-5 ZON-7 whatever is done, in whatever order, zones are what a naive model is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = new World();
      let { zones } = world;
      const model = new Map<string, Agent>(
        ["a", "ab"].map((id) => [id, { current: fresh(), archives: [], lastMs: 0 }]),
      );
      let count = 0;
      for (const one of steps) {
        if (one.do === "clock") {
          world.nowMs += one.ms;
          continue;
        }
        if (one.do === "open") {
          zones = world.open();
          continue;
        }
        const of = model.get(one.agent)!;
        if (one.do === "append") {
          const values = Array.from({ length: one.count }, () => (count += 1) + 1e6);
          const { offset, end } = await zones.appendSessionOutput(one.agent, values);
          expect(offset).toBe(of.current.end);
          values.forEach((value, index) => of.current.values.push({ value, offset: offset + 8 * index }));
          of.current.end = end;
        } else if (one.do === "write") {
          const { current } = of;
          const covered = current.values[one.covers];
          const logOffset = covered === undefined ? current.end : covered.offset;
          const text = stateText(`${(count += 1)}`, one.large ? "x".repeat(140_000) : "");
          await zones.writeSessionState(one.agent, text, { revision: count, logOffset });
          current.state = text;
          current.shown = logOffset;
          current.values = current.values.filter(({ offset }) => offset >= logOffset);
        } else if (one.do === "archive") {
          const archived = await zones.archiveSession(one.agent);
          expect(archived === undefined).toBe(blank(of.current));
          if (archived === undefined) continue;
          of.lastMs = Math.max(world.nowMs, of.lastMs + 1);
          expect(archived.archivedAtMs).toBe(of.lastMs);
          of.archives.push({ ms: of.lastMs, zone: of.current });
          of.current = fresh();
        } else {
          const chosen = of.archives[one.which];
          if (chosen === undefined) continue;
          of.archives = of.archives.filter((archive) => archive !== chosen);
          if (one.do === "delete") {
            await zones.deleteArchive(one.agent, chosen.ms);
            continue;
          }
          const { archived } = await zones.restoreArchive(one.agent, chosen.ms);
          expect(archived === undefined).toBe(blank(of.current));
          if (!blank(of.current)) {
            of.lastMs = Math.max(world.nowMs, of.lastMs + 1);
            expect(archived?.archivedAtMs).toBe(of.lastMs);
            of.archives.push({ ms: of.lastMs, zone: of.current });
          }
          of.current = chosen.zone;
        }
      }
      for (const [id, of] of model) {
        const read = await zones.recoverSession(id);
        expect(read?.state?.text).toEqual(of.current.state);
        expect(read?.entries ?? []).toEqual(of.current.values);
        const sorted = of.archives.toSorted((a, b) => b.ms - a.ms);
        expect(
          (await zones.listArchives(id, { limit: 100 })).map(({ archivedAtMs }) => archivedAtMs),
        ).toEqual(sorted.map(({ ms }) => ms));
        for (const { ms, zone } of sorted) {
          const archive = await zones.readArchive(id, ms);
          expect([archive.state?.text, archive.entries]).toEqual([zone.state, zone.values]);
        }
      }
    }),
    { numRuns: 60 },
  );
});
