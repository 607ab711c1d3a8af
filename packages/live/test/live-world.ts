import {
  type Live,
  type LiveHead,
  type LiveItem,
  type LiveOptions,
  type LivePayload,
  type LiveReplayStore,
  type LiveTimers,
  openLive,
  openMemoryReplayStore,
} from "../src/index.ts";

/** Timers that a test moves. */
export class ManualTimers implements LiveTimers {
  #nowMs = 0;
  readonly #timers: Set<{ readonly atMs: number; readonly run: () => void }> = new Set();

  /** Timers that are set. */
  get set(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#nowMs;
  }

  setTimer(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass, with what is due in between, and what comes of it. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers]
        .filter(({ atMs }) => atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#nowMs = due.atMs;
      this.#timers.delete(due);
      due.run();
      await settle();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

/** Lets everything happen that waits for nothing outside. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 40; turn++) await Promise.resolve();
}

/** A durable state that a test commits to, and the handles over it. */
export class LiveWorld implements AsyncDisposable {
  readonly timers: ManualTimers = new ManualTimers();
  readonly store: LiveReplayStore;
  readonly errors: unknown[] = [];
  readonly heads: Map<string, LiveHead<string>> = new Map();
  readonly live: Live<string>;
  readonly #opened: Live<string>[] = [];

  constructor(store: LiveReplayStore = openMemoryReplayStore(), options: Partial<LiveOptions<string>> = {}) {
    this.store = store;
    this.live = this.open(options);
  }

  /** Another handle, as another process has. */
  open(options: Partial<LiveOptions<string>> = {}): Live<string> {
    const live = openLive<string>({
      store: this.store,
      source: { observe: async (session) => this.head(session) },
      onError: (error) => this.errors.push(error),
      timers: this.timers,
      ...options,
    });
    this.#opened.push(live);
    return live;
  }

  head(session: string): LiveHead<string> {
    return this.heads.get(session) ?? { revision: 0, view: "nothing" };
  }

  /** What a store does in its commit: it tells nobody. */
  commit(view: string, session: string = "trip"): void {
    this.heads.set(session, { revision: this.head(session).revision + 1, view });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const live of this.#opened) await live.close();
    await this.store.close();
  }
}

export function text(activity: unknown): LivePayload<string> {
  return { kind: "turn_activity", activity };
}

/** An item in few words. */
export function shown(item: LiveItem<string> | undefined): unknown {
  if (item === undefined) return "done";
  if (item.kind === "observation") return `observed ${item.observation.revision} ${item.observation.view}`;
  if (item.kind === "gap") {
    const { gap, observation } = item;
    const missed = gap.missed === undefined ? "" : ` ${gap.missed}`;
    return `gap ${gap.reason}${missed}, observed ${observation.revision} ${observation.view}`;
  }
  return told(item.event.payload);
}

/** A payload in few words. */
export function told(payload: LivePayload): unknown {
  switch (payload.kind) {
    case "turn_activity":
      return payload.activity;
    case "turn_state":
      return `${payload.turn} ${payload.state}`;
    case "committed":
      return `committed ${String(payload.view)}`;
    case "agent_frame_switched":
      return `frame ${payload.frame}`;
    case "queue_changed":
      return `${payload.change} ${payload.batches.join()}`;
    case "process_changed":
      return `${payload.change} ${payload.processes.join()}`;
  }
}

/** The next items of a watch. */
export async function take(
  items: AsyncIterator<LiveItem<string>, undefined>,
  count: number,
): Promise<unknown[]> {
  const taken: unknown[] = [];
  while (taken.length < count) {
    const step = await items.next();
    taken.push(shown(step.done === true ? undefined : step.value));
    if (step.done === true) break;
  }
  return taken;
}

/** Lets go of what nobody holds; needs no flag of the process. */
export async function collectGarbage(): Promise<void> {
  // What a weak reference was made of or read is held until the turn is over.
  await new Promise((resolve) => setImmediate(resolve));
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  setFlagsFromString("--expose-gc");
  const collect = process.getBuiltinModule("node:vm").runInNewContext("gc") as () => void;
  collect();
}
