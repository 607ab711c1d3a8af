import type { Ticket } from "@tidemark/session";
import { SessionError } from "@tidemark/session";
import { absent } from "./absent.ts";
import type { RegionEngine } from "./engine.ts";
import type { Session, SessionsOptions, StartOptions, User } from "./region.ts";
import { SessionHandle } from "./session-handle.ts";

/** A user bound to the region it was obtained from. */
export class UserHandle implements User {
  readonly id: string;
  readonly #engine: RegionEngine;

  constructor(engine: RegionEngine, id: string) {
    this.#engine = engine;
    this.id = id;
  }

  hidden(): string[] {
    return this.#engine.fold.user(this.id).hidden();
  }

  filterVisible<Item>(items: readonly Item[], itemOf?: (item: Item) => string): Item[] {
    return this.#engine.fold.user(this.id).filterVisible(items, itemOf);
  }

  withheld(): number {
    return this.#engine.fold.user(this.id).withheld();
  }

  sessions(options: SessionsOptions = {}): string[] {
    const { visibleTo, ...rest } = options;
    const { fold, policies } = this.#engine;
    const seen = visibleTo === undefined ? {} : { ofAgent: policies.seenBy(fold, this.id, visibleTo) };
    return fold.user(this.id).sessions({ ...rest, ...seen });
  }

  async session(id: string, start?: StartOptions): Promise<Session> {
    const owner = this.#engine.fold.sessions.get(id)?.user?.id;
    if (owner === this.id) return new SessionHandle(this.#engine, id);
    if (owner === undefined && start !== undefined) return this.#engine.startSession(id, this.id, start);
    throw owner === undefined
      ? absent(this.#engine.fold, id, `open session ${id}`)
      : new SessionError("SESSION_EXISTS", `Cannot open session ${id}: it is another user's`);
  }

  ticket(): Ticket {
    return this.#engine.tokens.ticket(this.id);
  }
}
