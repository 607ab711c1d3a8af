import { outcomeOf, type History, type Outcome, type Random, type WriteEvent } from "@tidemark/simulator";
import type { WriteRequest } from "./protocol.ts";
import { CallFailed, ProcessGone, type RegionHandle } from "./region-handle.ts";

/** Writes of a session before the client begins another: what a read shows stays small. */
const SESSION_WRITES = 100;
/** A client thinks for so long at most between two calls. */
const THINK_MS = 10;
/** How long a resume in another region may take before its typed refusal. */
const RESUME_MS = 2_000;
const ITEMS = 12;
const ENTITIES = 4;
const KEYS = 3;
/** Share of the steps that go to another region, look instead of write, or repeat the last write elsewhere. */
const SHARES = { roam: 0.1, read: 0.15, retry: 0.1, unhide: 0.05 };

/** What a client works with. */
export interface ClientOptions {
  readonly name: string;
  readonly user: string;
  readonly random: Random;
  readonly history: History;
  readonly regions: readonly RegionHandle[];
  /** Milliseconds since the run began. */
  readonly now: () => number;
  /** Is told of each answer. */
  readonly answered: () => void;
}

/** One agent of a user: it writes, reads, retries and roams, one call after the other, and records what it saw. */
export class Client {
  readonly #options: ClientOptions;
  #at: RegionHandle;
  #session = "";
  #sessions = 0;
  #writes = 0;
  /** What is sent again elsewhere: an operation whose caller does not know, or doubts, that it was taken. */
  #last: { readonly request: WriteRequest; readonly operationId: string } | undefined;
  #token: { readonly by: "cursor" | "ticket"; readonly token: string } | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#at = options.random.pick(options.regions);
  }

  /** One step. Resolves once it is answered, or nobody is there to answer. */
  async step(): Promise<void> {
    const { random, answered } = this.#options;
    await new Promise((resolve) => setTimeout(resolve, random.integer(THINK_MS)));
    if (!this.#at.isUp) await this.#leave();
    if (this.#writes >= this.#sessions * SESSION_WRITES) await this.#start();
    const drawn = random.next();
    if (drawn < SHARES.roam) await this.#roam();
    else if (drawn < SHARES.roam + SHARES.read) await this.#read();
    else if (drawn < SHARES.roam + SHARES.read + SHARES.retry && this.#last !== undefined)
      await this.#write(this.#last.request, this.#last.operationId);
    else await this.#write(this.#draw(), `${this.#options.name}-${this.#writes++}`);
    answered();
  }

  async #start(): Promise<void> {
    const { name, user } = this.#options;
    const session = `${name}-${this.#sessions++}`;
    const operationId = `${session}-start`;
    this.#session = session;
    this.#last = undefined;
    const { kind } = await this.#record({ operation: "start", operationId, session }, async () => {
      await this.#at.call("start", session, user, operationId);
      return { kind: "applied" };
    });
    if (kind === "unknown") await this.#leave();
  }

  #draw(): WriteRequest {
    const { random, name, user } = this.#options;
    const kind = random.integer(4);
    if (kind === 0) return { operation: "annotate", text: `${name} note ${this.#writes}` };
    // The time of an event is part of what is asked: a repeat elsewhere names the same.
    if (kind === 1)
      return {
        operation: "signal",
        entity: `entity-${random.integer(ENTITIES)}`,
        weight: 1,
        eventTimeMs: Date.now(),
      };
    if (kind === 2)
      return {
        operation: "prefer",
        key: `key-${random.integer(KEYS)}`,
        value: `${name} value ${this.#writes}`,
      };
    const item = `item-${user}-${random.integer(ITEMS)}`;
    return { operation: random.chance(SHARES.unhide) ? "unhide" : "hide", item };
  }

  async #write(request: WriteRequest, operationId: string): Promise<void> {
    this.#last = { request, operationId };
    const session = this.#session;
    const { operation, eventTimeMs: _, ...parts } = { eventTimeMs: 0, ...request };
    const key = operation === "signal" ? { key: "save" } : {};
    const outcome = await this.#record({ operation, session, operationId, ...key, ...parts }, async () =>
      outcomeOf(await this.#at.call("write", session, this.#options.user, request, operationId)),
    );
    if (outcome.kind === "unknown") await this.#leave();
  }

  async #record(
    what: Pick<WriteEvent, "operation" | "operationId" | "session">,
    run: () => Promise<Outcome>,
  ): Promise<Outcome> {
    const { history, name: client, user } = this.#options;
    const write = history.write({ client, region: this.#at.name, life: this.#at.life, user, ...what });
    const outcome = await run().catch((error: unknown): Outcome => {
      if (error instanceof CallFailed) return { kind: "failed", code: error.code };
      if (error instanceof ProcessGone) return { kind: "unknown" };
      throw error;
    });
    history.returned(write, outcome);
    return outcome;
  }

  async #read(): Promise<void> {
    const { history, name: client, user } = this.#options;
    const at = { client, region: this.#at.name, life: this.#at.life };
    const asked = Array.from({ length: ITEMS }, (_, index) => `item-${user}-${index}`);
    const session = this.#session;
    try {
      const visible = await this.#at.call("read", user, asked);
      history.read({ ...at, user, asked, visible });
      const shown = await this.#at.call("state", session);
      if (shown !== undefined) history.state({ ...at, session, shown });
      await this.#takeToken();
    } catch (error) {
      if (!(error instanceof ProcessGone) && !(error instanceof CallFailed)) throw error;
      await this.#leave();
    }
  }

  async #takeToken(): Promise<void> {
    const { random, user } = this.#options;
    if (random.chance(0.5)) {
      this.#token = { by: "ticket", token: await this.#at.call("ticket", user) };
      return;
    }
    const token = await this.#at.call("cursor", this.#session);
    this.#token = token === undefined ? undefined : { by: "cursor", token };
  }

  /** Takes what it has seen to another region. */
  async #roam(): Promise<void> {
    const { history, random, regions, now, name: client, user } = this.#options;
    const others = regions.filter((region) => region !== this.#at && region.isUp);
    if (others.length === 0) return;
    const to = random.pick(others);
    const from = this.#at.name;
    const session = this.#session;
    try {
      await this.#takeToken();
    } catch (error) {
      if (!(error instanceof ProcessGone) && !(error instanceof CallFailed)) throw error;
      return await this.#leave();
    }
    if (this.#token === undefined) return;
    const { by, token } = this.#token;
    const must = history.mustOf(client, user);
    const calledAt = now();
    const life = to.life;
    const outcome = await (
      by === "ticket"
        ? to.call("resumeTicket", user, token, RESUME_MS)
        : to.call("resumeCursor", session, token, RESUME_MS)
    ).then(
      () => "covered" as const,
      (error: unknown) => {
        if (error instanceof CallFailed) return { refused: error.code };
        if (error instanceof ProcessGone) return "unknown" as const;
        throw error;
      },
    );
    history.roam({
      client,
      by,
      from,
      to: to.name,
      life,
      user,
      session,
      calledAt,
      timeoutMs: RESUME_MS,
      outcome,
      must,
    });
    if (outcome === "covered") this.#at = to;
  }

  /** Its region has gone: it goes on somewhere, with nothing in hand. */
  async #leave(): Promise<void> {
    const { history, random, regions, name } = this.#options;
    await Promise.race(regions.map((region) => region.whenUp()));
    this.#at = random.pick(regions.filter(({ isUp }) => isUp));
    this.#token = undefined;
    history.moved(name, this.#at.name);
  }
}
