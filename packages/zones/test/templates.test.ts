import { type Kv, openMemoryKv } from "@tidemark/kv";
import { interruptingKv } from "@tidemark/kv-conformance";
import { expect, test } from "vitest";
import {
  type AgentInstance,
  isDefinitionId,
  moveZones,
  openZones,
  promoteTemplateSessions,
  type PromotedDefinition,
  type SeededTemplate,
  type TemplateSource,
  templatesWithZones,
  Zones,
} from "../src/index.ts";
import { promotedDefinitionId } from "../src/promote-templates.ts";
import { stateText, World } from "./zones-on-memory.ts";

const NOTHING = { scanned: 0, promoted: 0, archives: 0, repointed: 0, failed: 0 };
const OWN = "template-promote-v1-guide";

/** The program that zones belong to: definitions and instances. */
class Program implements TemplateSource {
  readonly seeded: SeededTemplate[] = [
    { definitionId: "guide", name: "Guide" },
    { definitionId: "idle", name: "Idle" },
  ];
  readonly agents: AgentInstance[] = [
    { instanceId: "i1", definitionId: "guide", name: "My old guide", lastActiveMs: 5 },
    { instanceId: "i2", definitionId: "guide", name: "My guide", lastActiveMs: 9 },
    { instanceId: "i3", definitionId: "guide", lastActiveMs: 99 },
    { instanceId: "i4", definitionId: "idle", name: "Idle one", lastActiveMs: 7 },
  ];
  readonly definitions: Map<string, PromotedDefinition> = new Map();
  failing: "create" | "repoint" | undefined;
  repointed: () => Promise<unknown> = () => Promise.resolve();

  async *templates(): AsyncIterable<SeededTemplate> {
    yield* this.seeded;
  }

  async *instances(): AsyncIterable<AgentInstance> {
    yield* this.agents;
  }

  async create(definition: PromotedDefinition): Promise<void> {
    this.#fail("create");
    if (!this.definitions.has(definition.definitionId))
      this.definitions.set(definition.definitionId, definition);
  }

  async repoint(instanceId: string, definitionId: string): Promise<void> {
    this.#fail("repoint");
    const index = this.agents.findIndex((agent) => agent.instanceId === instanceId);
    this.agents[index] = { ...this.agents[index]!, definitionId };
    await this.repointed();
  }

  #fail(call: "create" | "repoint"): void {
    if (this.failing === call) throw new Error(`${call} failed`);
  }
}

async function withSessions(zones: Zones, id: string): Promise<void> {
  for (const said of ["first", "second"]) {
    await zones.appendSessionOutput(id, [said]);
    await zones.writeSessionState(id, stateText(said), { revision: 1, logOffset: 0 });
    await zones.archiveSession(id);
  }
  await zones.appendSessionOutput(id, ["third"]);
  await zones.writeSessionState(id, stateText("third"), { revision: 1, logOffset: 0, session: "s" });
}

async function shown(zones: Zones, id: string): Promise<unknown> {
  const archives = [];
  for (const { archivedAtMs, preview } of await zones.listArchives(id, { limit: 100 }))
    archives.push([archivedAtMs, preview, await zones.readArchive(id, archivedAtMs)]);
  return { current: (await zones.recoverSession(id)) ?? null, archives };
}

const NONE = { current: null, archives: [] };

test("ZON-6 A-43 A-45 A-46 A-47 a template's sessions go to a definition of its user's own, and its instances name that", async () => {
  const { zones } = new World();
  const program = new Program();
  await withSessions(zones, "guide");
  const before = await shown(zones, "guide");
  expect(await templatesWithZones(zones, program)).toEqual(["guide"]);
  expect(await promoteTemplateSessions(zones, program)).toEqual({
    scanned: 1,
    promoted: 1,
    archives: 2,
    repointed: 3,
    failed: 0,
  });
  expect(await shown(zones, OWN)).toEqual(before);
  expect(await shown(zones, "guide")).toEqual(NONE);
  expect([...program.definitions.values()]).toEqual([
    { definitionId: OWN, templateId: "guide", name: "My guide" },
  ]);
  expect(program.agents.map(({ definitionId }) => definitionId)).toEqual([OWN, OWN, OWN, "idle"]);
  expect(await promoteTemplateSessions(zones, program)).toEqual(NOTHING);
  expect(await templatesWithZones(zones, program)).toEqual([]);
});

test("ZON-6 A-43 whether there is something to do is asked of the zones, whatever a ledger or a mark says", async () => {
  const { zones } = new World();
  const program = new Program();
  // On an empty install there is nothing to do, and nothing is noted.
  expect(await promoteTemplateSessions(zones, program)).toEqual(NOTHING);
  expect(await zones.migrations()).toEqual([]);
  for (const said of ["once", "again"]) {
    await zones.writeSessionState("guide", stateText(said), { revision: 1, logOffset: 0 });
    expect(await promoteTemplateSessions(zones, program)).toMatchObject({ promoted: 1 });
    expect(await zones.migrations()).toMatchObject([
      { migration: "template-sessions", counts: { promoted: 1 } },
    ]);
  }
});

test("ZON-6 A-44 A-46 zones of users' own and of unknown definitions are left alone, another clone of the template too", async () => {
  const { zones } = new World();
  for (const id of ["guide", "deleted", "my-clone-of-guide", "guide-2"])
    await zones.writeSessionState(id, stateText(`of ${id}`), { revision: 1, logOffset: 0 });
  const program = new Program();
  program.seeded.push({ definitionId: "not an id", name: "x" });
  expect(await promoteTemplateSessions(zones, program)).toMatchObject({ scanned: 1, promoted: 1 });
  for (const id of ["deleted", "my-clone-of-guide", "guide-2"])
    expect((await zones.readSessionState(id))?.text).toBe(stateText(`of ${id}`));
  expect((await zones.readSessionState(OWN))?.text).toBe(stateText("of guide"));
});

test("ZON-6 A-45 without a named instance it is called what the template is", async () => {
  const { zones } = new World();
  const program = new Program();
  await zones.writeSessionState("idle", stateText("x"), { revision: 1, logOffset: 0 });
  program.agents.splice(3, 1, { instanceId: "i4", definitionId: "idle", name: "", lastActiveMs: 7 });
  await promoteTemplateSessions(zones, program);
  expect([...program.definitions.values()]).toMatchObject([{ name: "Idle" }]);
});

test("ZON-6 A-46 the id of a promoted template is valid however long the template's is, and of no other", () => {
  const { context } = new World().zones;
  const [a, b] = ["a", "b"].map((last) => promotedDefinitionId(context, `${"x".repeat(127)}${last}`));
  expect([isDefinitionId(a), isDefinitionId(b), a === b]).toEqual([true, true, false]);
  expect(promotedDefinitionId(context, "guide")).toBe(OWN);
});

test.each(["create", "repoint"] as const)(
  "ZON-6 A-40 A-51 a %s that fails is counted; who goes on with the template meanwhile loses nothing",
  async (call) => {
    const world = new World();
    const { zones } = world;
    const program = new Program();
    await withSessions(zones, "guide");
    program.failing = call;
    expect(await promoteTemplateSessions(zones, program)).toMatchObject({
      scanned: 1,
      promoted: 0,
      failed: 1,
    });
    world.nowMs += 10;
    await zones.writeSessionState("guide", stateText("went on"), { revision: 2, logOffset: 0 });
    program.failing = undefined;
    expect(await promoteTemplateSessions(zones, program)).toMatchObject({ promoted: 1, failed: 0 });
    expect((await zones.readSessionState(OWN))?.text).toBe(stateText("went on"));
    // The copy that was made before is an earlier state of the same conversation, and no archive.
    expect((await zones.listArchives(OWN)).map(({ preview }) => preview)).toEqual(["second", "first"]);
    expect(await shown(zones, "guide")).toEqual(NONE);
  },
);

test("ZON-6 A-51 what somebody writes between the copy and the removal stays, and goes with the next run", async () => {
  const { zones } = new World();
  const program = new Program();
  await withSessions(zones, "guide");
  program.repointed = () => zones.appendSessionOutput("guide", ["still here"]);
  expect(await promoteTemplateSessions(zones, program)).toMatchObject({
    promoted: 0,
    failed: 1,
    repointed: 3,
  });
  expect(await zones.currentSession("guide")).toBeDefined();
  expect(await promoteTemplateSessions(zones, program)).toMatchObject({ promoted: 1, failed: 0 });
  expect((await zones.recoverSession(OWN))?.entries.map(({ value }) => value)).toEqual([
    "third",
    "still here",
    "still here",
    "still here",
  ]);
  expect(await shown(zones, "guide")).toEqual(NONE);
});

test("ZON-4 A-51 A-52 moving zones again after the destination went on keeps the later; another conversation there is not lost", async () => {
  const world = new World();
  const { zones } = world;
  await withSessions(zones, "from");
  await zones.writeSessionState("to", stateText("of to"), { revision: 7, logOffset: 0 });
  expect(await moveZones(zones, "from", "to")).toEqual({ archives: 2, current: true, removed: true });
  expect((await zones.readSessionState("to"))?.text).toBe(stateText("of to"));
  expect((await zones.listArchives("to")).map(({ preview }) => preview).toSorted()).toEqual([
    "first",
    "second",
    "third",
  ]);
  expect(await moveZones(zones, "from", "to")).toEqual({ archives: 0, current: false, removed: true });
  await expect(moveZones(zones, "to", "to")).rejects.toThrow(RangeError);
  await expect(moveZones(zones, "to", "../x")).rejects.toMatchObject({ code: "INVALID_DEFINITION_ID" });
  // Another conversation of the same moment: it is archived.
  await zones.writeSessionState("x", stateText("x"), { revision: 1, logOffset: 0 });
  await zones.writeSessionState("y", stateText("y"), { revision: 1, logOffset: 0 });
  expect(await moveZones(zones, "x", "y")).toMatchObject({ removed: true });
  expect((await zones.readSessionState("y"))?.text).toBe(stateText("y"));
  expect((await zones.listArchives("y")).map(({ preview }) => preview)).toEqual(["x"]);
});

test("ZON-4 ZON-6 a crash of any call to the store leaves a state from which a promotion ends right", async () => {
  const prepared = async (): Promise<Kv> => {
    const kv = openMemoryKv({ nowMs: () => 1_790_000_000_000 });
    await withSessions(new Zones({ kv }), "guide");
    return kv;
  };
  const whole = await prepared();
  const want = await shown(new Zones({ kv: whole }), "guide");
  let crashes = 0;
  for (const when of ["before", "after"] as const) {
    for (let at = 1; ; at++) {
      const kv = await prepared();
      const program = new Program();
      const dying = interruptingKv(kv, { at, when });
      await promoteTemplateSessions(new Zones({ kv: dying }), program).catch(() => undefined);
      if (!dying.interrupted) break;
      crashes += 1;
      const zones = await openZones({ kv, templates: program });
      expect(await shown(zones, OWN), `${when} ${at}`).toEqual(want);
      expect(await shown(zones, "guide")).toEqual(NONE);
      expect(program.agents.filter(({ definitionId }) => definitionId === "guide")).toEqual([]);
    }
  }
  process.stdout.write(`Crashes of calls of a promotion: ${crashes}\n`);
  expect(crashes).toBeGreaterThan(150);
}, 60_000);
