import { TidemarkError } from "@tidemark/core";
import type { Region, Session, SessionsOptions, WriteOptions, WriteResult } from "@tidemark/region";
import type { RoamEvent, WriteEvent } from "./history-events.ts";
import { failureOf, outcomeOf, shownSession } from "./history.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** What a {@link Client} writes: the part of a `WriteEvent` that it decides. */
export type ClientWrite = Pick<
  WriteEvent,
  | "operation"
  | "session"
  | "item"
  | "text"
  | "key"
  | "value"
  | "entity"
  | "weight"
  | "parents"
  | "operationId"
>;

/** What a client took from one region and may present in another. */
interface Token {
  readonly by: "cursor" | "ticket";
  readonly text: string;
  readonly from: string;
  readonly session?: string;
  /** What its bearer had seen. */
  readonly must: readonly number[];
  /** How long the history was when it was taken. */
  readonly taken: number;
}

/** A retry gives the event time of its first attempt: so all have one, before anything that a clock may show. */
const EVENT_TIME_MS = 1_789_900_000_000;
const ROAM_TIMEOUT_MS = 2_000;
/** How often a token is taken without need. */
const CALLS_A_TOKEN = 4;

/**
 * The device of one user: it talks to one region at a time, and what it calls and sees is in the history. It is outside of
 * every process: a call to one that dies is never answered.
 */
export class Client {
  readonly name: string;
  readonly user: string;
  readonly #world: World;
  #region: string;
  #token: Token | undefined;
  #calls = 0;

  constructor(
    world: World,
    options: { readonly name: string; readonly user: string; readonly region: string },
  ) {
    this.#world = world;
    this.name = options.name;
    this.user = options.user;
    this.#region = options.region;
  }

  /** The region it talks to. */
  get region(): string {
    return this.#region;
  }

  /** Whether that region can be talked to. */
  get connected(): boolean {
    return this.#open !== undefined;
  }

  /** Sessions of its user that are known there. */
  sessions(options?: SessionsOptions): string[] {
    return this.#open?.region.users.get(this.user).sessions(options) ?? [];
  }

  /** Writes, and says whether that is known to have happened. */
  async write(write: ClientWrite, options: WriteOptions = {}): Promise<boolean> {
    const open = this.#open;
    if (open === undefined) return false;
    const { machine, region } = open;
    const life = machine.life!;
    const { history } = this.#world;
    const event = history.write({
      client: this.name,
      region: machine.name,
      life: life.number,
      user: this.user,
      ...write,
    });
    try {
      const answer = await life.answer(this.#perform(region, write, options));
      history.returned(event, answer === undefined ? { kind: "unknown" } : answer.value);
    } catch (error) {
      history.returned(event, failureOf(error));
    }
    this.#keep(write.session);
    return event.outcome?.kind === "applied" || event.outcome?.kind === "duplicate";
  }

  /** Asks which items may be shown. */
  read(asked: readonly string[]): void {
    const open = this.#open;
    if (open === undefined) return;
    const visible = open.region.users.get(this.user).filterVisible(asked);
    this.#world.history.read({ ...this.#place(open.machine), user: this.user, asked, visible });
    this.#keep();
  }

  /** Reads a session. */
  look(session: string): void {
    const open = this.#open;
    const found = open?.region.sessions.get(session);
    if (open === undefined || found === undefined) return;
    this.#world.history.state({ ...this.#place(open.machine), session, shown: shownSession(found.state()) });
    this.#keep(session);
  }

  /**
   * Goes to another region with what it has in hand, and stays where it is if that is refused; with nothing in hand it
   * expects nothing there.
   */
  async roam(to: string): Promise<void> {
    const machine = this.#world.machines.get(to);
    // Where it is may not answer any more: then it has what it took before.
    this.#take(this.#token?.session);
    const token = this.#token;
    if (machine?.region === undefined || to === this.#region) return;
    if (token === undefined) {
      this.leave(to);
      return;
    }
    const { history, time } = this.#world;
    const life = machine.life!;
    const calledAt = time.now();
    const note = (outcome: RoamEvent["outcome"]): void =>
      history.roam({
        client: this.name,
        by: token.by,
        from: token.from,
        to,
        life: life.number,
        user: this.user,
        ...(token.session === undefined ? {} : { session: token.session }),
        calledAt,
        timeoutMs: ROAM_TIMEOUT_MS,
        must: token.must,
        taken: token.taken,
        outcome,
      });
    try {
      const answer = await life.answer(present(machine.region, this.user, token));
      note(answer === undefined ? "unknown" : "covered");
      if (answer !== undefined) this.#region = to;
    } catch (error) {
      note(error instanceof TidemarkError ? { refused: error.code } : { failed: String(error) });
    }
  }

  /** Goes to another region, or stays, with nothing in hand. */
  leave(to: string): void {
    this.#token = undefined;
    this.#region = to;
    this.#world.history.moved(this.name, to);
  }

  /** Where it is, while a region there answers: one that has not joined, or is a member no more, refuses everything. */
  get #open(): { readonly machine: Machine; readonly region: Region } | undefined {
    const machine = this.#world.machines.get(this.#region);
    if (machine?.region === undefined) return undefined;
    try {
      machine.region.users.get(this.user).withheld();
      return { machine, region: machine.region };
    } catch (error) {
      if (error instanceof TidemarkError) return undefined;
      throw error;
    }
  }

  #place(machine: Machine): { readonly client: string; readonly region: string; readonly life: number } {
    return { client: this.name, region: machine.name, life: machine.life!.number };
  }

  /** Takes a token now and then: whoever loses its region has an old one. */
  #keep(session?: string): void {
    this.#calls += 1;
    if (this.#calls % CALLS_A_TOKEN === 0) this.#take(session);
  }

  /** Takes a token for what it has seen so far: a cursor of a session, or a ticket. */
  #take(session?: string): void {
    const open = this.#open;
    if (open === undefined) return;
    const { history } = this.#world;
    const all = history.mustOf(this.name, this.user);
    const from = open.machine.name;
    const taken = history.events.length;
    // In turn, so that both ways are gone.
    const handle = all.length % 2 === 0 ? open.region.sessions.get(session ?? "") : undefined;
    try {
      if (handle === undefined) {
        const text = open.region.users.get(this.user).ticket().toString();
        this.#token = { by: "ticket", text, from, must: all, taken };
      } else {
        // A cursor is about its session, and what its user has hidden.
        const must = all.filter((index) => {
          const write = history.events[index];
          return write?.type === "write" && (write.session === handle.id || write.item !== undefined);
        });
        this.#token = {
          by: "cursor",
          text: handle.cursor().toString(),
          from,
          session: handle.id,
          must,
          taken,
        };
      }
    } catch (error) {
      // A region that has not joined gives none.
      if (!(error instanceof TidemarkError)) throw error;
    }
  }

  async #perform(
    region: Region,
    write: ClientWrite,
    options: WriteOptions,
  ): Promise<ReturnType<typeof outcomeOf>> {
    const { operation, session: id = "", operationId } = write;
    const named = { ...options, ...(operationId === undefined ? {} : { operationId }) };
    if (operation === "start") {
      await region.sessions.start({ ...named, id, user: this.user, agent: write.value ?? "guide" });
      return { kind: "applied" };
    }
    if (operation === "merge") {
      const [one = "", other = ""] = write.parents ?? [];
      await region.sessions.merge(one, other, { ...named, id });
      return { kind: "applied" };
    }
    if (operation === "erase") return outcomeOf(await region.users.erase(this.user, named));
    if (operation === "fork") {
      const parent = region.sessions.get(write.parents?.[0] ?? "");
      if (parent === undefined) return { kind: "refused", code: "SESSION_UNKNOWN" };
      await parent.fork({ ...named, id });
      return { kind: "applied" };
    }
    const session = region.sessions.get(id);
    if (session === undefined) return { kind: "refused", code: "SESSION_UNKNOWN" };
    return outcomeOf(await writeTo(session, { ...write, operation }, named));
  }
}

function writeTo(
  session: Session,
  write: ClientWrite & {
    readonly operation: Exclude<WriteEvent["operation"], "start" | "fork" | "merge" | "erase">;
  },
  options: WriteOptions,
): Promise<WriteResult> {
  const { operation, item = "", text = "", key = "", value = "", entity, weight = 1 } = write;
  switch (operation) {
    case "signal":
      return session.signal(entity ?? "", key, weight, { ...options, eventTimeMs: EVENT_TIME_MS });
    case "prefer":
      return session.prefer(key, value, options);
    case "annotate":
      return session.annotate(text, { ...options, ...(entity === undefined ? {} : { entity }) });
    case "search":
      return session.search(text, options);
    case "app":
      return session.app(key, new TextEncoder().encode(text), options);
    case "close":
      return session.close(options);
    default:
      return session[operation](item, options);
  }
}

async function present(region: Region, user: string, token: Token): Promise<void> {
  const waiting = { timeoutMs: ROAM_TIMEOUT_MS };
  if (token.by === "ticket") await region.users.resume(user, { ...waiting, ticket: token.text });
  else await region.sessions.resume(token.session ?? "", { ...waiting, cursor: token.text });
}
