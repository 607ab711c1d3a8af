import type { Region, Session, WriteResult } from "@tidemark/region";
import { expect } from "vitest";
import { NAMES, type Name, type SwitchedCluster } from "./switched-cluster.ts";

const RESUME_MS = 15_000;
const TWICE_EVERY = 5;

/** A client of each region that writes into one session without pause, whatever becomes of the region meanwhile. */
export class SessionWriters implements Disposable {
  /** Writes that were acknowledged, by the region they were given to. */
  readonly written: Record<Name, number> = { "us-east": 0, "eu-west": 0 };
  /** Where a region held an operation of a log and not all before it. */
  readonly holes: string[] = [];
  /** Texts in the order they were written in, by the log (the writer of the session) they are in. */
  readonly #logs: Map<string, string[]> = new Map();
  readonly #cluster: SwitchedCluster;
  readonly #session: string;
  readonly #done: Promise<unknown>;
  #wrote: () => void = () => undefined;
  #writing: boolean = true;

  constructor(cluster: SwitchedCluster, session: string) {
    this.#cluster = cluster;
    this.#session = session;
    cluster.onChange((region) => this.#lookForHoles(region));
    this.#done = Promise.all(NAMES.map((name) => this.#write(name)));
    // Whoever waits is told; after a failure nobody does.
    this.#done.catch(() => undefined);
  }

  /** Starts a session in a cluster, which is opened in-process unless it is open. */
  static async on(cluster: SwitchedCluster): Promise<SessionWriters> {
    if (!cluster.isOpen) await cluster.moveAll("inprocess");
    const { id } = await cluster.region("us-east").sessions.start({ user: "ada", agent: "guide" });
    await cluster.converged();
    return new SessionWriters(cluster, id);
  }

  /** Waits until each of these regions has acknowledged so many writes more. */
  async more(count: number, names: readonly Name[] = NAMES): Promise<void> {
    const wanted = names.map((name) => [name, this.written[name] + count] as const);
    while (wanted.some(([name, enough]) => this.written[name] < enough))
      await Promise.race([this.#done, new Promise<void>((resolve) => (this.#wrote = resolve))]);
  }

  /** Waits until each region has what the other one has now. */
  async met(): Promise<void> {
    const cursors = this.#cluster.regions.map((region) => region.sessions.get(this.#session)!.cursor());
    for (const region of this.#cluster.regions)
      for (const cursor of cursors)
        await region.sessions.resume(this.#session, { cursor, timeoutMs: RESUME_MS });
  }

  async stop(): Promise<void> {
    this.#writing = false;
    await this.#done;
  }

  [Symbol.dispose](): void {
    this.#writing = false;
  }

  /** What a region holds of the writes that were given to a region, from a number on. */
  held(region: Name, from: Name, first: number): string[] {
    return (this.#cluster.region(region).sessions.get(this.#session)?.state().annotations ?? [])
      .map(({ text }) => text)
      .filter((text) => text.startsWith(`${from} `) && Number(text.slice(from.length + 1)) >= first);
  }

  /** Every region holds every write once, and nothing else. */
  expectAllOnce(): void {
    const texts = NAMES.flatMap((name) =>
      Array.from({ length: this.written[name] }, (_, number) => textsOfWrite(name, number)).flat(),
    );
    const saves = this.written["us-east"] + this.written["eu-west"];
    for (const region of this.#cluster.regions) {
      const { annotations, signals } = region.sessions.get(this.#session)!.state();
      expect(annotations.map(({ text }) => text).toSorted(), region.name).toEqual(texts.toSorted());
      expect(signals.get("book")!.get("save")!.count, region.name).toBe(saves);
    }
    expect(this.holes).toEqual([]);
  }

  async #write(name: Name): Promise<void> {
    for (let number = 0; this.#writing; number++) {
      const [own, ...toBoth] = textsOfWrite(name, number) as [string, ...string[]];
      const { position } = await this.#once(name, (session) => session.annotate(own, { operationId: own }));
      const log = this.#logs.get(position!.lane) ?? [];
      this.#logs.set(position!.lane, [...log, own]);
      await this.#once(name, (session) => session.signal("book", "save", 1, { operationId: `save ${own}` }));
      for (const text of toBoth)
        for (const region of NAMES)
          await this.#once(region, (session) => session.annotate(text, { operationId: text }));
      this.written[name] += 1;
      this.#wrote();
      await pause();
    }
  }

  /** Writes where the region is open; what a region that closes refuses is tried again under its id. */
  async #once(name: Name, write: (session: Session) => Promise<WriteResult>): Promise<WriteResult> {
    for (;;) {
      const session = (await this.#cluster.opened(name)).sessions.get(this.#session)!;
      try {
        const result = await write(session);
        expect(result.outcome).not.toBe("refused");
        return result;
      } catch (error) {
        if (!this.#writing || (error as { readonly code?: unknown }).code !== "REGION_CLOSED") throw error;
        await pause();
      }
    }
  }

  /** In each log of each region, what is held is how it began. */
  #lookForHoles(region: Region): void {
    const state = region.sessions.get(this.#session)?.state();
    const held = new Set(state?.annotations.map(({ text }) => text));
    for (const [log, texts] of this.#logs) {
      const missing = texts.findIndex((text) => !held.has(text));
      const beyond = missing < 0 ? undefined : texts.slice(missing).find((text) => held.has(text));
      if (beyond !== undefined)
        this.holes.push(`${region.name}, ${log}: ${beyond} without ${texts[missing]}`);
    }
  }
}

/** The annotations of one write: its own, and now and then one that is given to both regions under one id. */
function textsOfWrite(name: Name, number: number): string[] {
  const own = `${name} ${number}`;
  return number % TWICE_EVERY === 0 ? [own, `both ${own}`] : [own];
}

/** The time a client takes between two writes. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3));
}
