import { setTimeout } from "node:timers/promises";
import type { Kv } from "@tidemark/kv";
import { openSessionStores, type SessionStore } from "@tidemark/session-store";
import { expect, test } from "vitest";
import { openKv } from "../src/open-kv.ts";
import type { Answered } from "../src/protocol.ts";
import { Worker } from "../src/worker.ts";
import { hasRedis, storeOf } from "./stores.ts";

/** How many; a run without a wish has one, over one store, so that it is short. */
const WISHED = process.env["TIDEMARK_WORKER_DISASTERS"];
const DISASTERS = Number(WISHED ?? 1);
const SEED = Number(process.env["TIDEMARK_WORKER_SEED"] ?? 1);
const WORKERS = 3;
/** How often it is asked whether everything is answered. */
const POLL_MS = 10;
/** Short, so that what a stopped worker held is soon another's. */
const TTL_MS = 200;

/** Workers of one session, who go on whatever happens to one of them, and what they said. */
class Crew implements AsyncDisposable {
  readonly answered: Answered[] = [];
  readonly #session: string;
  readonly #workers: Worker[] = [];
  #started = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(session: string) {
    this.#session = session;
  }

  async start(place: number, store: Awaited<ReturnType<typeof storeOf>>): Promise<void> {
    const worker = new Worker((turn) => this.#heard(turn));
    this.#workers[place] = worker;
    await worker.call("open", store, this.#session);
    // It ends with the process.
    worker.call("work", `worker-${place}-${this.#started++}`, TTL_MS).catch(() => {});
  }

  worker(place: number): Worker {
    return this.#workers[place]!;
  }

  /** Resolves when so many turns were told of in all. */
  whenAnswered(count: number): Promise<void> {
    if (this.answered.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await worker[Symbol.asyncDispose]();
  }

  #heard(turn: Answered): void {
    this.answered.push(turn);
    const due = this.#waiting.filter(({ count }) => count <= this.answered.length);
    this.#waiting = this.#waiting.filter(({ count }) => count > this.answered.length);
    for (const { resolve } of due) resolve();
  }
}

/** Numbers below a bound, drawn from a seed. */
function drawing(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}

for (const backend of ["lmdb", "redis"] as const) {
  test.skipIf(backend === "redis" && (!hasRedis || WISHED === undefined))(
    `RUN-6 RUN-7 ${DISASTERS} workers over ${backend} stopped and killed in turn: each input is answered by one turn`,
    async () => {
      const draw = drawing(SEED);
      const store = await storeOf(backend);
      const name = `disasters-${SEED}`;
      await using kv: Kv = await openKv(store);
      const session = await (await openSessionStores({ kv })).create({ id: name, model: "model-1" });
      await using crew = new Crew(name);
      await Promise.all(Array.from({ length: WORKERS }, (_, place) => crew.start(place, store)));

      const inputs = new Set<string>();
      for (let disaster = 0; disaster < DISASTERS; disaster++) {
        const heard = crew.answered.length;
        await enqueue(session, disaster, inputs);
        await crew.whenAnswered(heard + 1);
        const place = draw(WORKERS);
        const kills = draw(2) === 0;
        await enqueue(session, DISASTERS + disaster, inputs);
        if (kills) await crew.worker(place)[Symbol.asyncDispose]();
        else await crew.worker(place).stopBeforeWriting();
        await enqueue(session, 2 * DISASTERS + disaster, inputs);
        // The others go on, with what the lost one held too.
        await until(async () => (await session.work.list()).length === 0);
        if (kills) await crew.start(place, store);
        else crew.worker(place).wake();
      }
      await expectEachAnsweredOnce(session, inputs, crew.answered);
    },
    60_000 * (1 + DISASTERS),
  );
}

/** Queues three inputs, each as two callers would who do not know of each other. */
async function enqueue(session: SessionStore, round: number, inputs: Set<string>): Promise<void> {
  for (let input = 0; input < 3; input++) {
    const draft = { sourceKey: `${round}-${input}`, slot: "join", items: [{ payload: input }] } as const;
    const [one, two] = await Promise.all([session.work.enqueue(draft), session.work.enqueue(draft)]);
    expect(one.batch.id).toBe(two.batch.id);
    inputs.add(one.batch.id);
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await setTimeout(POLL_MS);
}

async function expectEachAnsweredOnce(
  session: SessionStore,
  inputs: ReadonlySet<string>,
  told: readonly Answered[],
): Promise<void> {
  const head = await session.load();
  const nodes = head?.graph.nodes ?? [];
  expect(head?.revision).toBe(nodes.length);
  const answers = nodes.flatMap((node) => node.payload as string[]);
  expect([...answers].sort()).toEqual([...inputs].sort());
  // In the order of the queue, but for what another was given that a lost worker had: each turn for itself.
  for (const node of nodes) {
    const batches = await Promise.all((node.payload as string[]).map((id) => session.work.find(id)));
    const sequences = batches.map((batch) => batch!.sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(batches.every((batch) => batch!.state === "completed")).toBe(true);
  }
  // Whatever a worker was told is committed is there.
  for (const { turn, batches } of told) expect(nodes.find(({ id }) => id === turn)?.payload).toEqual(batches);
}
