// P18: live events handed to many readers, against a bare EventEmitter, which calls a function for each and nothing more.
import assert from "node:assert/strict";
import { EventEmitter, on } from "node:events";
import { performance } from "node:perf_hooks";
import { compare } from "../harness.mjs";
import { openMemoryReplayStore } from "../../packages/live/dist/index.js";

export const ROWS = ["P18"];

const READERS = 1_000;
const SESSIONS = 10_000;
/** Events that a producer makes in one turn of the event loop: a chunk of a model's answer is several. */
const BURST = 16;
/** Events that can be replayed of each session: what is kept, the collector walks over. */
const KEPT = 128;
const MS = 150;

export async function run() {
  const lines = [];
  for (const [work, sessions, readers] of [
    [`1 producer, ${READERS} subscribers of one session; ${BURST} events a turn, ${KEPT} kept`, 1, READERS],
    [`${SESSIONS} sessions with a subscriber each; ${BURST} events a turn, ${KEPT} kept`, SESSIONS, 1],
  ]) {
    const tidemark = () => ours(sessions, readers);
    const row = { row: "P18", work, unit: "deliveries/s" };
    const bare = { tidemark, "bare EventEmitter": () => emitter(sessions, readers) };
    lines.push(...(await compare({ ...row, variants: bare, goals: { "bare EventEmitter": 0.3 } })));
    // What it leaves to the collector would be counted for the others.
    const iterators = { tidemark, "events.on() of EventEmitter": () => iterated(sessions, readers) };
    lines.push(...(await compare({ ...row, variants: iterators })));
  }
  const slow = {
    "beside one that never reads": () => ours(1, READERS, true),
    "all of them read": () => ours(1, READERS),
  };
  const work = `1 producer, ${READERS} subscribers of one session that read`;
  const goals = { "all of them read": 0.9 };
  return [...lines, ...(await compare({ row: "P18", work, unit: "deliveries/s", variants: slow, goals }))];
}

/** Deliveries a second of processor time, for as long as it takes, once all have been made. */
async function measured(turn, deliveries) {
  const start = performance.now();
  const before = process.cpuUsage();
  let turns = 0;
  do {
    await turn();
    turns += 1;
  } while (performance.now() - start < MS);
  const { user, system } = process.cpuUsage(before);
  return (turns * deliveries * 1e6) / (user + system);
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

async function ours(sessions, readers, slow = false) {
  const store = openMemoryReplayStore({ sessionsMax: SESSIONS, eventsMax: KEPT });
  const names = Array.from({ length: sessions }, (_, index) => `session-${index}`);
  let delivered = 0;
  let made = 0;
  const loops = [];
  for (const name of names) {
    for (let reader = 0; reader < readers + (slow ? 1 : 0); reader++) {
      const { events } = await store.subscribeAfter(await store.currentCursor(name, 0));
      if (reader === readers) continue;
      loops.push(
        (async () => {
          for (;;) {
            const batch = await events.nextBatch();
            if (batch === undefined) return;
            for (const { payload } of batch) delivered += payload.activity;
          }
        })().catch(() => undefined),
      );
    }
  }
  const payload = { kind: "turn_activity", turn: "t", activity: 1 };
  const figure = await measured(
    async () => {
      for (const name of names) for (let n = 0; n < BURST; n++) void store.append(name, 0, payload);
      made += names.length * BURST * readers;
      while (delivered < made) await nextTurn();
    },
    names.length * BURST * readers,
  );
  assert.equal(delivered, made);
  await store.close();
  await Promise.all(loops);
  return figure;
}

async function emitter(sessions, readers) {
  const emitters = Array.from({ length: sessions }, () => new EventEmitter().setMaxListeners(0));
  let delivered = 0;
  let made = 0;
  for (const one of emitters)
    for (let reader = 0; reader < readers; reader++)
      one.on("event", ({ payload }) => (delivered += payload.activity));
  const payload = { kind: "turn_activity", turn: "t", activity: 1 };
  const figure = await measured(
    async () => {
      for (const one of emitters) for (let n = 0; n < BURST; n++) one.emit("event", { payload });
      made += emitters.length * BURST * readers;
      await nextTurn();
    },
    sessions * BURST * readers,
  );
  assert.equal(delivered, made);
  return figure;
}

async function iterated(sessions, readers) {
  const emitters = Array.from({ length: sessions }, () => new EventEmitter().setMaxListeners(0));
  const stop = new AbortController();
  let delivered = 0;
  let made = 0;
  const loops = [];
  for (const one of emitters)
    for (let reader = 0; reader < readers; reader++)
      loops.push(
        (async () => {
          for await (const [{ payload }] of on(one, "event")) {
            delivered += payload.activity;
            if (stop.signal.aborted) return;
          }
        })(),
      );
  const payload = { kind: "turn_activity", turn: "t", activity: 1 };
  const figure = await measured(
    async () => {
      for (const one of emitters) for (let n = 0; n < BURST; n++) one.emit("event", { payload });
      made += emitters.length * BURST * readers;
      while (delivered < made) await nextTurn();
    },
    sessions * BURST * readers,
  );
  assert.equal(delivered, made);
  stop.abort();
  for (const one of emitters) one.emit("event", { payload });
  await Promise.all(loops);
  return figure;
}
