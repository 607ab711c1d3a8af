import { expect, test } from "vitest";
import { BlobLedger } from "../src/blob-ledger.ts";
import {
  attachmentsOf,
  collectorOf,
  digestOf,
  makeSession,
  quickHasher,
  tableOf,
} from "./attachment-parts.ts";
import { type Actor, type Exploration, explore, type Hands, type Outcome } from "./interleavings.ts";

const BYTES = Uint8Array.of(1, 2, 3);
const ID = digestOf(BYTES);
/** With three actors the histories are bounded by how often one interrupts another; more of them take minutes. */
const INTERRUPTIONS_MAX = Number(process.env["INTERRUPTIONS_MAX"] ?? "2");
const LATER_MS = Number.MAX_SAFE_INTEGER;

function writer(session: string, crashes = true): Actor {
  return {
    name: `writer ${session}`,
    crashes,
    run: (hands) => attachmentsOf(hands, session).put({ bytes: BYTES, uri: "memory:1" }),
  };
}

function collector(name = "collector"): Actor {
  return { name, crashes: true, run: (hands) => collectorOf(hands).collectOne(ID) };
}

const sweeper: Actor = {
  name: "sweeper",
  crashes: true,
  run: (hands) => attachmentsOf(hands, "a").sweep(LATER_MS),
};

const committer: Actor = {
  name: "committer",
  crashes: true,
  run: (hands) => attachmentsOf(hands, "a").commit([ID]),
};

/** Whoever was told that its bytes are safe, or committed, and whose row is there, reads them; and nothing else is kept. */
async function judge(hands: Hands, outcomes: ReadonlyMap<string, Outcome>): Promise<void> {
  for (const outcome of outcomes.values()) {
    if (outcome.kind === "failed") throw outcome.error;
  }
  const written = [...outcomes].filter(([name, { kind }]) => name.startsWith("writer") && kind === "done");
  for (const [name] of written) {
    const session = name.slice("writer ".length);
    const attachments = attachmentsOf(hands, session);
    if ((await attachments.row(ID)) !== undefined || !outcomes.has("sweeper"))
      expect(await attachments.get(ID)).toEqual(BYTES);
  }
  await expectNothingLeftOver(hands);
}

/** Gives up what no turn committed, collects, and compares what is stored with what is referred to. */
async function expectNothingLeftOver(hands: Hands): Promise<void> {
  const sessions = ["a", "b"];
  for (const session of sessions) await attachmentsOf(hands, session).sweep(LATER_MS);
  // Everything listed that is not of the living life, and everything that nobody refers to, has to go.
  await collectorOf(hands).collectOne(ID);
  const { names } = await hands.blobs.list();
  const ledger = new BlobLedger(hands.kv, quickHasher);
  const fence = await ledger.fence(ID);
  const strays = names.filter(({ incarnation }) => incarnation !== fence?.incarnation);
  for (const stray of strays) await hands.blobs.delete(stray);
  const referring = [];
  for (const session of sessions) {
    if ((await tableOf(hands, session).row(ID)) !== undefined) referring.push(session);
  }
  const holders = (await ledger.holders(ID)).map(({ session }) => session);
  expect(holders).toEqual(referring);
  expect((await hands.blobs.list()).names).toHaveLength(referring.length > 0 ? 1 : 0);
  if (referring.length === 0) expect(fence).toBeUndefined();
}

async function check(exploration: Omit<Exploration, "judge" | "digestOf">): Promise<void> {
  const { histories } = await explore({ ...exploration, judge, digestOf });
  expect(histories).toBeGreaterThan(1);
}

async function sessionsOnly(hands: Hands): Promise<void> {
  await makeSession(hands, "a");
  await makeSession(hands, "b");
}

/** An intent of session a with its bytes, which nobody committed. */
async function abandoned(hands: Hands): Promise<void> {
  await sessionsOnly(hands);
  await attachmentsOf(hands, "a").put({ bytes: BYTES, uri: "memory:1" });
}

/** Bytes that nobody refers to any more. */
async function garbage(hands: Hands): Promise<void> {
  await abandoned(hands);
  await tableOf(hands, "a").forget(ID);
}

test("C-77 a writer and a collector, in every order and with every death", () =>
  check({ prepare: sessionsOnly, actors: [writer("a"), collector()], crashesMax: 1 }));

test("C-77 a writer revives garbage while a collector takes it, in every order and with every death", () =>
  check({ prepare: garbage, actors: [writer("b"), collector()], crashesMax: 1 }));

test("C-77 two sessions write the same bytes beside a collector, in every order", () =>
  check({
    prepare: sessionsOnly,
    actors: [writer("a"), writer("b"), collector()],
    crashesMax: 0,
    interruptionsMax: INTERRUPTIONS_MAX,
  }));

test("C-77 two collectors and a writer, in every order", () =>
  check({
    prepare: garbage,
    actors: [writer("b"), collector("first"), collector("second")],
    crashesMax: 0,
    interruptionsMax: INTERRUPTIONS_MAX,
  }));

test("C-73 C-77 the writer tries again while its earlier intent is swept and collected, in every order", () =>
  check({
    prepare: abandoned,
    actors: [writer("a"), sweeper, collector()],
    crashesMax: 0,
    interruptionsMax: INTERRUPTIONS_MAX,
  }));

test("C-72 C-77 a commit beside a sweeper and a collector, in every order and with every death", () =>
  check({
    prepare: abandoned,
    actors: [committer, sweeper, collector()],
    crashesMax: 1,
  }));
