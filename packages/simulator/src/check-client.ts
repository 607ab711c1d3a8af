import { type Evidence, REMOVAL_OF } from "./evidence.ts";
import {
  effectNameOf,
  happened,
  type HistoryEvent,
  type ReadEvent,
  type ReturnEvent,
  type RoamEvent,
  type StateEvent,
  type WriteEvent,
} from "./history-events.ts";
import { sourceOf, sourcesOf } from "./history.ts";
import { APPS_KEPT, SEARCHES_KEPT } from "./model.ts";
import { Violation } from "./violation.ts";

/** What a client may expect where it is. */
interface ClientView {
  region: string;
  /** Writes it has made or seen, each by the first of its effect. */
  seen: Map<number, WriteEvent>;
  /** By session, entity and signal: how many it has seen. */
  counts: Map<string, number>;
  /** By user and item, what it has seen hidden, and in which event first. */
  hidden: Map<string, number>;
}

/**
 * What a client may rely on while it stays, or follows its cursors and tickets: it reads its own writes, what it has read
 * does not go away, and what it writes is ordered after what it had read.
 */
export function* checkClients(evidence: Evidence): Generator<Violation> {
  const clients = new Clients(evidence);
  for (const event of evidence.events) yield* clients.judge(event);
}

/** What every client has seen at a moment of a history, which is walked through event by event. */
class Clients {
  readonly #evidence: Evidence;
  readonly #views: Map<string, ClientView> = new Map();
  /** The first write of each effect, and what a text or value comes from. */
  readonly #firsts: Map<string, WriteEvent> = new Map();
  readonly #sources: Map<string, WriteEvent> = new Map();
  /** Users and items of which somebody has asked to see them again. */
  readonly #removals: Set<string> = new Set();
  /** By index, writes with what their client had seen as it called. */
  readonly #calls: Map<number, { write: WriteEvent; seen: readonly WriteEvent[] }> = new Map();

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
  }

  *judge(event: HistoryEvent): Generator<Violation> {
    if (event.type === "write") this.#called(event);
    else if (event.type === "return") yield* this.#returned(event);
    else if (event.type === "state") yield* this.#shown(event);
    else if (event.type === "read") yield* this.#read(event);
    else if (event.type === "roam") this.#roamed(event);
    else if (event.type === "moved") this.#views.delete(event.client);
    else if (event.type === "life" && this.#evidence.forgetting.has(event.index))
      for (const [client, { region }] of this.#views) if (region === event.region) this.#views.delete(client);
  }

  #viewIn(client: string, region: string): ClientView {
    let view = this.#views.get(client);
    if (view?.region === region) return view;
    // It went there with nothing in hand.
    view = { region, seen: new Map(), counts: new Map(), hidden: new Map() };
    this.#views.set(client, view);
    return view;
  }

  #roamed(event: RoamEvent): void {
    const view = this.#views.get(event.client);
    if (view === undefined || event.outcome !== "covered") return;
    const must = new Set(event.must);
    for (const [index, write] of view.seen) if (!must.has(index)) forget(view, write, index);
    // What it saw after it had taken its token is not in it.
    const { user, taken = event.index } = event;
    for (const [name, seenIn] of view.hidden)
      if (!name.startsWith(`${user}\n`) || seenIn >= taken) view.hidden.delete(name);
    view.region = event.to;
  }

  #called(write: WriteEvent): void {
    const name = effectNameOf(write);
    if (!this.#firsts.has(name)) this.#firsts.set(name, write);
    const source = sourceOf(write);
    if (source !== undefined && !this.#sources.has(source)) this.#sources.set(source, write);
    if (REMOVAL_OF[write.operation] !== undefined) this.#removals.add(`${write.user}\n${write.item}`);
    const { seen } = this.#viewIn(write.client, write.region);
    this.#calls.set(write.index, { write, seen: [...seen.values()] });
  }

  *#returned(event: ReturnEvent): Generator<Violation> {
    const call = this.#calls.get(event.write);
    if (call === undefined || !happened(call.write)) return;
    const { write, seen } = call;
    yield* checkFollows(this.#evidence, write, seen);
    const first = this.#firsts.get(effectNameOf(write)) ?? write;
    // It may have moved on while it waited.
    const view = this.#views.get(write.client);
    if (view?.region === write.region) view.seen.set(first.index, first);
  }

  *#shown(event: StateEvent): Generator<Violation> {
    const view = this.#viewIn(event.client, event.region);
    yield* checkShown(this.#evidence, view, event);
    for (const source of sourcesOf(event.session, event.shown)) {
      const write = this.#sources.get(source);
      if (write !== undefined) view.seen.set(write.index, write);
    }
    for (const [signal, { count }] of Object.entries(event.shown.signals))
      view.counts.set(`${event.session}\n${signal}`, count);
  }

  *#read({ client, user, asked, visible, region, index }: ReadEvent): Generator<Violation> {
    const view = this.#viewIn(client, region);
    const shown = new Set(visible);
    for (const write of view.seen.values())
      if (isHiding(write) && write.item !== undefined) hide(view, `${write.user}\n${write.item}`, index);
    for (const item of asked) {
      const name = `${user}\n${item}`;
      if (!shown.has(item)) hide(view, name, index);
      else if (view.hidden.has(name) && !this.#removals.has(name) && !this.#evidence.erased.has(user))
        yield new Violation("client", `${region} showed ${item} again to a client that had seen it hidden`, {
          client,
          read: index,
        });
    }
  }
}

function hide({ hidden }: ClientView, name: string, index: number): void {
  if (!hidden.has(name)) hidden.set(name, index);
}

function forget(view: ClientView, write: WriteEvent, index: number): void {
  view.seen.delete(index);
  for (const name of view.counts.keys()) if (name.startsWith(`${write.session}\n`)) view.counts.delete(name);
}

function isHiding({ operation }: WriteEvent): boolean {
  return operation === "hide" || operation === "mute" || operation === "block";
}

/** What a client had seen is in what it is shown now. */
function* checkShown(
  { erased, purged }: Evidence,
  view: ClientView,
  { client, region, session, shown, index }: StateEvent,
): Generator<Violation> {
  if (purged.has(session)) return;
  const now = new Set(sourcesOf(session, shown));
  const counts = new Map<string, number>();
  for (const write of view.seen.values()) {
    if (write.session !== session || erased.has(write.user)) continue;
    if (write.operation === "signal") {
      const signal = `${write.entity} ${write.key}`;
      counts.set(signal, (counts.get(signal) ?? 0) + 1);
    }
    const source = sourceOf(write);
    if (source === undefined || now.has(source)) continue;
    if (write.operation === "search" && shown.searches.length >= SEARCHES_KEPT) continue;
    if (write.operation === "app" && (shown.apps[write.key ?? ""]?.length ?? 0) >= APPS_KEPT) continue;
    // Another value may have won; a key without any may not be.
    if (write.operation === "prefer" && shown.hints[write.key ?? ""] !== undefined) continue;
    yield new Violation("client", `${region} does not show what ${client} had seen`, { state: index, write });
  }
  const seen = new Map([...view.counts].map(([name, count]) => [name, count] as const));
  for (const [signal, count] of counts) {
    const name = `${session}\n${signal}`;
    seen.set(name, Math.max(count, seen.get(name) ?? 0));
  }
  for (const [name, least] of seen) {
    const [of, signal = ""] = name.split("\n");
    const count = shown.signals[signal]?.count ?? 0;
    if (of === session && count < least && !(shown.user !== undefined && erased.has(shown.user)))
      yield new Violation("client", `${region} counts ${count} signals, ${client} had seen ${least}`, {
        state: index,
        session,
        signal,
      });
  }
}

/** A write is ordered after what its client had seen of the session when it wrote. */
function* checkFollows(
  evidence: Evidence,
  write: WriteEvent,
  seen: readonly WriteEvent[],
): Generator<Violation> {
  // An erasure is no part of a session or ticket: two of one user are one, in whatever order.
  if (write.operation === "erase") return;
  const op = write.outcome?.kind === "applied" ? evidence.storedOf(write)?.op : undefined;
  if (op === undefined) return;
  for (const before of seen) {
    if (before.session !== write.session || effectNameOf(before) === effectNameOf(write)) continue;
    if (isErased(evidence, before, write)) continue;
    const effect = evidence.effectIdOf(before);
    const stamps = effect === undefined ? [] : evidence.copiesOf(effect).map((copy) => copy.op.stamp);
    if (stamps.length > 0 && stamps.every((stamp) => stamp >= op.stamp))
      yield new Violation("client", `${write.region} ordered a write before what its client had seen`, {
        write,
        before,
      });
  }
}

/** Whether a user was erased between two writes: what is gone is left out of tickets, and nothing is ordered behind it. */
function isErased({ writes }: Evidence, { user, index }: WriteEvent, until: WriteEvent): boolean {
  return writes.some(
    (erase) =>
      erase.operation === "erase" &&
      erase.user === user &&
      (erase.returnedIndex ?? Number.POSITIVE_INFINITY) > index &&
      erase.index < (until.returnedIndex ?? Number.POSITIVE_INFINITY),
  );
}
