import { createHash } from "node:crypto";
import { type Kv, keyText, type MemoryKv, openMemoryKv } from "@tidemark/kv";
import type { BlobStore } from "../src/blob-store.ts";
import { MemoryBlobStore } from "../src/memory-blob-store.ts";

/** What an actor does its work with: every call waits for its turn. */
export interface Hands {
  readonly kv: Kv;
  readonly blobs: BlobStore;
  /** Names that only this actor makes, the same in each replay. */
  readonly fresh: () => string;
}

/** Somebody whose steps are interleaved with those of others. */
export interface Actor {
  readonly name: string;
  /** Whether it may die before each of its calls, which is after the one before took effect. */
  readonly crashes: boolean;
  run(hands: Hands): Promise<unknown>;
}

/** What is to be explored. */
export interface Exploration {
  /** Makes what is there before anybody acts. */
  prepare(hands: Hands): Promise<void>;
  readonly actors: readonly Actor[];
  /** How many actors may die in one history. */
  readonly crashesMax: number;
  /** How often somebody who could go on is interrupted by another in one history. @defaultValue without bound */
  readonly interruptionsMax?: number;
  /** Whether what an actor that is done was told makes a difference to `judge`. @defaultValue false */
  readonly judgesAnswers?: boolean;
  /** Judges the end of one history; throws if it is wrong. */
  judge(hands: Hands, outcomes: ReadonlyMap<string, Outcome>): Promise<void>;
  readonly digestOf: (bytes: Uint8Array) => string;
}

/** How an actor ended. */
export type Outcome =
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "crashed" };

/** One choice: who goes on, and whether it dies on the way. */
interface Choice {
  readonly actor: number;
  readonly dies: boolean;
}

/** What an exploration saw. */
export interface Explored {
  readonly states: number;
  readonly histories: number;
}

/**
 * Runs the actors in every order of their calls, with every allowed death, and judges every end. The real code runs;
 * two points of a history count as the same if the stored bytes and everything each actor was told are the same.
 * Where `interruptionsMax` bounds the histories, they also have to have the same interruptions left.
 */
export async function explore(exploration: Exploration): Promise<Explored> {
  const visited = new Set<string>();
  const pending: Choice[][] = [[]];
  let histories = 0;
  for (let prefix = pending.pop(); prefix !== undefined; prefix = pending.pop()) {
    const world = await World.open(exploration);
    for (const choice of prefix) await world.step(choice);
    const path = [...prefix];
    for (;;) {
      const state = await world.fingerprint();
      if (visited.has(state)) break;
      visited.add(state);
      const [first, ...others] = world.choices();
      if (first === undefined) {
        histories += 1;
        await world.judge(path);
        break;
      }
      for (const other of others) pending.push([...path, other]);
      path.push(first);
      await world.step(first);
    }
  }
  return { states: visited.size, histories };
}

/** One actor in one replay. */
class Running {
  outcome: Outcome | undefined;
  /** The call that waits for its turn. */
  call:
    | { readonly perform: () => Promise<unknown>; readonly resolve: (told: Promise<unknown>) => void }
    | undefined;
  /** Everything it was told so far. */
  readonly told = createHash("sha1");
  #ready: (() => void) | undefined;

  gate<Answer>(perform: () => Promise<Answer>): Promise<Answer> {
    return new Promise<Answer>((resolve) => {
      this.call = { perform, resolve: resolve as (told: Promise<unknown>) => void };
      this.#ready?.();
    });
  }

  end(outcome: Outcome): void {
    this.outcome ??= outcome;
    this.#ready?.();
  }

  /** Resolves once it waits for its turn again, or has ended. */
  async settled(): Promise<void> {
    if (this.call !== undefined || this.outcome !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    this.#ready = undefined;
  }
}

class World {
  readonly #exploration: Exploration;
  readonly #kv: MemoryKv;
  readonly #blobs: BlobStore;
  readonly #partitions = new Set<string>();
  readonly #running: Running[] = [];
  #last: number | undefined;
  #interruptions = 0;

  private constructor(exploration: Exploration) {
    this.#exploration = exploration;
    this.#kv = openMemoryKv({ nowMs: () => 1_000_000 });
    this.#blobs = new MemoryBlobStore(exploration.digestOf);
  }

  static async open(exploration: Exploration): Promise<World> {
    const world = new World(exploration);
    await exploration.prepare(world.#hands("prepare", (perform) => perform()));
    for (const actor of exploration.actors) {
      const running = new Running();
      world.#running.push(running);
      const hands = world.#hands(actor.name, (perform) => running.gate(perform));
      actor.run(hands).then(
        (value) => running.end({ kind: "done", value }),
        (error: unknown) => running.end({ kind: "failed", error }),
      );
      await running.settled();
    }
    return world;
  }

  choices(): Choice[] {
    const { actors, crashesMax } = this.#exploration;
    const crashed = this.#running.filter(({ outcome }) => outcome?.kind === "crashed").length;
    const bound = this.#interruptions >= (this.#exploration.interruptionsMax ?? Number.POSITIVE_INFINITY);
    return this.#running.flatMap(({ outcome }, actor): Choice[] => {
      if (outcome !== undefined || (bound && this.#interrupts(actor))) return [];
      const lives: Choice = { actor, dies: false };
      return actors[actor]!.crashes && crashed < crashesMax ? [lives, { actor, dies: true }] : [lives];
    });
  }

  #interrupts(actor: number): boolean {
    return (
      this.#last !== undefined && this.#last !== actor && this.#running[this.#last]!.outcome === undefined
    );
  }

  async step({ actor, dies }: Choice): Promise<void> {
    const running = this.#running[actor]!;
    if (this.#interrupts(actor)) this.#interruptions += 1;
    this.#last = actor;
    const { perform, resolve } = running.call!;
    running.call = undefined;
    if (dies) return running.end({ kind: "crashed" });
    const told = perform();
    const text = await told.then(tell, (error: unknown) => String(error));
    running.told.update(`${text}\n`);
    resolve(told);
    await running.settled();
  }

  async fingerprint(): Promise<string> {
    const hash = createHash("sha1");
    for (const partition of [...this.#partitions].sort()) {
      const { items } = await this.#kv.scan(partition, {});
      for (const { key, value } of items) hash.update(`${partition} ${keyText(key)}=${keyText(value)}\n`);
    }
    hash.update(tell(await this.#blobs.list()));
    if (this.#exploration.interruptionsMax !== undefined) hash.update(`${this.#last} ${this.#interruptions}`);
    // What somebody was told who does nothing any more makes no difference, unless it is judged.
    const { judgesAnswers = false } = this.#exploration;
    for (const { told, outcome } of this.#running) {
      const kind = judgesAnswers ? undefined : outcome?.kind;
      hash.update(`${kind ?? told.copy().digest("hex")}\n`);
    }
    return hash.digest("hex");
  }

  async judge(path: readonly Choice[]): Promise<void> {
    const { actors, judge } = this.#exploration;
    const outcomes = new Map(actors.map(({ name }, index) => [name, this.#running[index]!.outcome!]));
    try {
      await judge(
        this.#hands("judge", (perform) => perform()),
        outcomes,
      );
    } catch (error) {
      const history = path.map(({ actor, dies }) => `${actors[actor]!.name}${dies ? " dies" : ""}`);
      throw new Error(`Wrong after ${history.join(", ")}`, { cause: error });
    }
  }

  #hands(name: string, gate: <Answer>(perform: () => Promise<Answer>) => Promise<Answer>): Hands {
    const kv = this.#kv;
    const touch = (partition: string) => this.#partitions.add(partition);
    const blobs = this.#blobs;
    let count = 0;
    return {
      fresh: () => `${name}-${++count}`,
      kv: {
        capabilities: kv.capabilities,
        nowMs: () => kv.nowMs(),
        get: (partition, keys) => gate(() => kv.get(partition, keys)),
        scan: (partition, range) => gate(() => kv.scan(partition, range)),
        commit(partition, commit) {
          touch(partition);
          return gate(() => kv.commit(partition, commit));
        },
        close: () => Promise.resolve(),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      blobs: {
        durability: blobs.durability,
        put: (blob, bytes) => gate(() => blobs.put(blob, bytes)),
        get: (blob) => gate(() => blobs.get(blob)),
        delete: (blob) => gate(() => blobs.delete(blob)),
        list: (after) => gate(() => blobs.list(after)),
      },
    };
  }
}

function tell(answer: unknown): string {
  return JSON.stringify(answer, (_, value: unknown) =>
    value instanceof Uint8Array ? keyText(value) : value,
  );
}
