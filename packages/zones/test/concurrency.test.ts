import { expect, test } from "vitest";
import type { Zones } from "../src/index.ts";
import { stateText, World } from "./zones-on-memory.ts";

/** Every value that is anywhere in an agent's zones. */
async function allValues(zones: Zones, id: string): Promise<unknown[]> {
  const values = [...((await zones.recoverSession(id))?.entries ?? [])];
  for (const { archivedAtMs } of await zones.listArchives(id, { limit: 100 }))
    values.push(...(await zones.readArchive(id, archivedAtMs)).entries);
  return values.map(({ value }) => value).toSorted();
}

test("ZON-3 ZON-4 A-23 A-26 who appends, archives and restores at once loses no value, and has none twice", async () => {
  const world = new World();
  const processes = [world.zones, world.open(), world.open()];
  const appended: string[] = [];
  let done = 0;
  const retried = async (call: () => Promise<unknown>): Promise<void> => {
    for (;;) {
      try {
        await call();
        return;
      } catch (error) {
        // Refused, and nothing was written.
        if ((error as { code?: string }).code !== "BUSY") throw error;
      }
    }
  };
  await Promise.all(
    processes
      .map(async (zones, process) => {
        for (let at = 0; at < 12; at++) {
          const value = `${process} ${at}`;
          await retried(() => zones.appendSessionOutput("a", [value]));
          appended.push(value);
        }
        done += 1;
      })
      .concat(
        (async () => {
          while (done < processes.length) {
            await retried(() => world.zones.archiveSession("a"));
            const [row] = await processes[1]!.listArchives("a");
            if (row !== undefined) await retried(() => processes[1]!.restoreArchive("a", row.archivedAtMs));
          }
        })(),
      ),
  );
  expect(await allValues(world.zones, "a")).toEqual(appended.toSorted());
});

test("ZON-3 ZON-3a of two who begin a zone at once one begins it, and both write it", async () => {
  const world = new World();
  await Promise.all(
    [world.zones, world.open()].map((zones, index) => zones.appendSessionOutput("a", [`value ${index}`])),
  );
  expect(await allValues(world.zones, "a")).toEqual(["value 0", "value 1"]);
  await world.zones.archiveSession("a");
  expect(await world.zones.listArchives("a")).toHaveLength(1);
});

test("ZON-4 A-22 A-25 of two who archive at once one does, and the other finds nothing or the same archive", async () => {
  const world = new World();
  await world.zones.writeSessionState("a", stateText("said"), { revision: 1, logOffset: 0 });
  const answers = await Promise.all(
    [world.zones, world.open(), world.open()].map((zones) => zones.archiveSession("a")),
  );
  expect(answers.filter((answer) => answer !== undefined)).toHaveLength(1);
  expect(await world.zones.listArchives("a")).toHaveLength(1);
});

test("ZON-4 ZON-5 A-32d a snapshot that is written just before it is archived is the one that is listed", async () => {
  const world = new World();
  const { kv, zones } = world;
  const none = { revision: 1, logOffset: 0 };
  await zones.writeSessionState("a", stateText("first"), none);
  let written = false;
  const late = world.open({
    kv: {
      capabilities: kv.capabilities,
      nowMs: () => kv.nowMs(),
      get: (...given) => kv.get(...given),
      scan: (...given) => kv.scan(...given),
      commit: async (...given) => {
        if (!written) {
          written = true;
          await zones.writeSessionState("a", stateText("second"), none);
        }
        return kv.commit(...given);
      },
      close: () => kv.close(),
      [Symbol.asyncDispose]: () => kv.close(),
    },
  });
  const { archivedAtMs } = (await late.archiveSession("a"))!;
  expect(await zones.listArchives("a")).toMatchObject([{ archivedAtMs, preview: "second" }]);
  expect((await zones.readArchive("a", archivedAtMs)).state?.text).toBe(stateText("second"));
});

test("ZON-7 two who retain at once remove each archive once, and neither fails", async () => {
  const world = new World();
  for (let index = 0; index < 5; index++) {
    await world.zones.writeSessionState("a", stateText(`${index}`), { revision: 1, logOffset: 0 });
    await world.zones.archiveSession("a");
  }
  const both = await Promise.all(
    [world.zones, world.open()].map((zones) => zones.retain("a", { keepMax: 2 })),
  );
  expect(
    both
      .flat()
      .map(({ preview }) => preview)
      .toSorted(),
  ).toEqual(["0", "1", "2"]);
});
