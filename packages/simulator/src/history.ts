import { formatLogId, TidemarkError } from "@tidemark/core";
import type { Certificate, Region, RegionMetrics, WriteResult } from "@tidemark/region";
import type { SessionState } from "@tidemark/session";
import {
  effectNameOf,
  type AppliedEvent,
  type HistoryEvent,
  happened,
  type Outcome,
  type ReadEvent,
  type RoamEvent,
  type ShownSession,
  type StateEvent,
  type WriteEvent,
} from "./history-events.ts";

/** What the caller of a recording method leaves out. */
type Recorded<Event> = Omit<Event, "type" | "index" | "at" | "outcome" | "returnedIndex">;

/** What a {@link History} is told of its run. */
export interface HistoryOptions {
  /** Milliseconds since the run began. */
  readonly now: () => number;
  /** Is given each event as it happens, for a file of JSON Lines. */
  readonly sink?: (event: HistoryEvent) => void;
}

/** What a client has seen so far, wherever it follows its cursors and tickets. */
interface Seen {
  /** Indexes of writes, each the first of its effect. */
  readonly writes: Set<number>;
}

/** What clients and regions did and saw in a run, in order, as plain data that {@link checkHistory} judges. */
export class History {
  readonly events: HistoryEvent[] = [];
  readonly #options: HistoryOptions;
  readonly #firstOf: Map<string, number> = new Map();
  /** What a text, hint or query comes from. */
  readonly #sources: Map<string, number> = new Map();
  readonly #writes: Map<number, WriteEvent> = new Map();
  readonly #seen: Map<string, Seen> = new Map();
  #next: number = 0;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  /** A write is called. Give what it returns to {@link History.returned}. */
  write(call: Recorded<WriteEvent>): WriteEvent {
    const event: WriteEvent = { type: "write", ...this.#moment(), ...call };
    const name = effectNameOf(event);
    const first = this.#firstOf.get(name) ?? event.index;
    this.#firstOf.set(name, first);
    const source = sourceOf(event);
    if (source !== undefined && !this.#sources.has(source)) this.#sources.set(source, first);
    this.#writes.set(event.index, event);
    return this.#push(event);
  }

  /** A write returned, or is known never to return. */
  returned(write: WriteEvent, outcome: Outcome): void {
    const moment = this.#moment();
    write.outcome = outcome;
    write.returnedIndex = moment.index;
    if (happened(write)) this.#seenBy(write.client).writes.add(this.#firstOf.get(effectNameOf(write))!);
    this.#push({ type: "return", ...moment, write: write.index, outcome });
  }

  /** A client asked which items may be shown. */
  read(read: Recorded<ReadEvent>): void {
    this.#push({ type: "read", ...this.#moment(), ...read });
  }

  /** A client read a session; `shown` is {@link shownSession} of its state. */
  state(state: Recorded<StateEvent>): void {
    const { writes } = this.#seenBy(state.client);
    for (const source of sourcesOf(state.session, state.shown)) {
      const write = this.#sources.get(source);
      if (write !== undefined) writes.add(write);
    }
    this.#push({ type: "state", ...this.#moment(), ...state });
  }

  /** A client presented a cursor or ticket; what it must find there is what it had seen of the user when it asked. */
  roam(roam: Recorded<RoamEvent> & Pick<RoamEvent, "outcome">): void {
    // A token that is older than what it has seen since takes only the former along.
    if (roam.outcome === "covered") this.#seen.set(roam.client, { writes: new Set(roam.must) });
    this.#push({ type: "roam", ...this.#moment(), ...roam });
  }

  /** A client goes to a region with nothing in hand. */
  moved(client: string, region: string): void {
    this.#seen.delete(client);
    this.#push({ type: "moved", ...this.#moment(), client, region });
  }

  /** The writes that a client has made or seen of a user, ascending: `must` of a roam. */
  mustOf(client: string, user: string): number[] {
    return [...this.#seenBy(client).writes]
      .filter((index) => this.#writes.get(index)?.user === user)
      .sort((a, b) => a - b);
  }

  /** Something is done to the world. */
  fault(name: string, target: string, options: { readonly damages?: boolean } = {}): void {
    this.#push({ type: "fault", ...this.#moment(), name, target, ...options });
  }

  /** What a region says of its state. */
  certificate(region: string, { vector, digest }: Certificate): void {
    this.#push({ type: "certificate", ...this.#moment(), region, vector, digest });
  }

  /** What a region says of its queues. */
  sample({ region, queue, receiveAheadBytes, logs, snapshotsRestored }: RegionMetrics): void {
    this.#push({
      type: "sample",
      ...this.#moment(),
      region,
      queueRecords: queue.records,
      queueBytes: queue.bytes,
      receiveAheadBytes,
      receiving: logs.filter(({ state }) => state !== "writing").length,
      replaced: snapshotsRestored,
    });
  }

  /** A list of members is written. */
  members(version: number, regions: readonly string[]): void {
    this.#push({ type: "members", ...this.#moment(), version, regions: [...regions] });
  }

  /** How long the regions took to have everything, once everything worked again. */
  converged(converged: {
    readonly healedAt: number;
    readonly convergedAt?: number;
    readonly boundMs: number;
    readonly missing?: string;
  }): void {
    this.#push({ type: "converged", ...this.#moment(), ...converged });
  }

  /**
   * A region has been opened: from now on each operation that it applies is recorded, until the returned function is
   * called, which must be when its process dies.
   */
  observe(
    region: Region,
    how: {
      readonly life: number;
      /** See `forgets` of a life. @defaultValue false */
      readonly forgets?: boolean;
      /** The highest reading that the region's wall clock ever had. */
      readonly wallMs?: () => number;
    },
  ): () => void {
    const { name, id } = region;
    const { life, forgets = false, wallMs } = how;
    // Whoever was there has seen what is not there any more; who was elsewhere only loses what nobody asks for.
    if (forgets) this.#seen.clear();
    this.#push({
      type: "life",
      ...this.#moment(),
      region: name,
      id,
      life,
      observed: true,
      ...(forgets ? { forgets } : {}),
      ...vectorOf(region),
    });
    return region.onChange(({ session, kind, position, log, lsn }) => {
      const event: AppliedEvent = {
        type: "applied",
        ...this.#moment(),
        region: name,
        life,
        session,
        kind,
        lane: position.lane,
        seqno: position.seqno,
        log: formatLogId(log),
        lsn,
        ...(wallMs === undefined ? {} : { wallMs: wallMs() }),
      };
      this.#push(event);
    });
  }

  /** A region has been opened in a process of its own: what it applies is not recorded. */
  opened(region: { readonly name: string; readonly id: number; readonly life: number }): void {
    const { name, id, life } = region;
    this.#push({ type: "life", ...this.#moment(), region: name, id, life, observed: false });
  }

  #seenBy(client: string): Seen {
    let seen = this.#seen.get(client);
    if (seen === undefined) this.#seen.set(client, (seen = { writes: new Set() }));
    return seen;
  }

  #moment(): { readonly index: number; readonly at: number } {
    return { index: this.#next++, at: this.#options.now() };
  }

  #push<Event extends HistoryEvent>(event: Event): Event {
    this.events.push(event);
    this.#options.sink?.(event);
    return event;
  }
}

/** How far a region has applied each log, if it knows its cluster. */
function vectorOf(region: Region): { readonly vector?: Certificate["vector"] } {
  try {
    return { vector: region.certificate().vector };
  } catch (error) {
    if (error instanceof TidemarkError) return {};
    throw error;
  }
}

/** What became of a write, from what it resolved to. */
export function outcomeOf({ outcome, effectId, position, reason = "" }: WriteResult): Outcome {
  if (outcome === "refused") return { kind: "refused", code: reason };
  return {
    kind: outcome,
    ...(effectId === undefined ? {} : { effectId }),
    ...(position === undefined ? {} : { position }),
  };
}

/** What became of a write, from what it rejected with. */
export function failureOf(error: unknown): Outcome {
  return { kind: "failed", code: error instanceof TidemarkError ? error.code : String(error) };
}

/** A session's state as a history holds it. */
export function shownSession(state: SessionState): ShownSession {
  const text = new TextDecoder();
  const { user, agent, open, annotations, hints, searches, apps, signals, parents = [], conflicts } = state;
  return {
    ...(user === undefined ? {} : { user }),
    ...(agent === undefined ? {} : { agent }),
    open,
    annotations: annotations.map((one) => one.text),
    hints: Object.fromEntries(hints),
    searches: [...searches],
    apps: Object.fromEntries([...apps].map(([name, list]) => [name, list.map((one) => text.decode(one))])),
    signals: Object.fromEntries(
      [...signals].flatMap(([entity, sums]) =>
        [...sums].map(([signal, { count, weight }]) => [`${entity} ${signal}`, { count, weight }]),
      ),
    ),
    parents: [...parents],
    conflicts: conflicts.starts + conflicts.operations.length + conflicts.forks.length + state.unknown,
  };
}

/** What a write shows in its session, as text that nothing else shows; none for what is only counted. */
export function sourceOf({
  operation,
  session = "",
  text = "",
  key = "",
  value = "",
}: WriteEvent): string | undefined {
  if (operation === "annotate" || operation === "search") return [operation, session, text].join("\n");
  if (operation === "prefer") return [operation, session, key, value].join("\n");
  return operation === "app" ? [operation, session, key, text].join("\n") : undefined;
}

/** The same of everything that a session shows. */
export function sourcesOf(session: string, shown: ShownSession): string[] {
  return [
    ...shown.annotations.map((text) => ["annotate", session, text].join("\n")),
    ...shown.searches.map((text) => ["search", session, text].join("\n")),
    ...Object.entries(shown.hints).map(([key, value]) => ["prefer", session, key, value].join("\n")),
    ...Object.entries(shown.apps).flatMap(([key, list]) =>
      list.map((text) => ["app", session, key, text].join("\n")),
    ),
  ];
}

/** Events of a file of JSON Lines; a last line that is cut short is left out, as whoever wrote it was killed. */
export function parseHistory(text: string): HistoryEvent[] {
  const events: HistoryEvent[] = [];
  const lines = text.split("\n").filter((line) => line !== "");
  for (const [number, line] of lines.entries()) {
    try {
      events.push(JSON.parse(line) as HistoryEvent);
    } catch (error) {
      if (number < lines.length - 1) throw error;
    }
  }
  const writes = new Map<number, WriteEvent>();
  for (const event of events) {
    if (event.type === "write") writes.set(event.index, event);
    const write = event.type === "return" ? writes.get(event.write) : undefined;
    if (event.type !== "return" || write === undefined) continue;
    write.outcome = event.outcome;
    write.returnedIndex = event.index;
  }
  return events;
}
