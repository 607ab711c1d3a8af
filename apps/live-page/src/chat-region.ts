import {
  openLive,
  openMemoryReplayStore,
  openStreamLogs,
  type Live,
  type LiveReplayStore,
  type LiveSession,
  type StreamJournal,
  type StreamLogs,
} from "@tidemark/live";
import { liveHandler } from "@tidemark/live-http";
import type { AnswerPiece, AnswerView } from "./answer.ts";

/** How a region is watched. */
export interface ChatRegionOptions {
  readonly journal: StreamJournal;
  /** Pages of other origins that may watch. */
  readonly origins: readonly string[];
  /** Events of a session that are held for pages that come back. @defaultValue 2,048 */
  readonly eventsMax?: number;
}

/** Answers of one region: written here or elsewhere, and watched here. */
export class ChatRegion implements AsyncDisposable {
  /** Answers as logs that all regions have. */
  readonly logs: StreamLogs;
  /** Serves the sessions over HTTP. */
  readonly handler: (request: Request) => Promise<Response>;
  readonly #store: LiveReplayStore;
  readonly #live: Live<AnswerView>;
  readonly #journal: StreamJournal;
  /** Tellers by session: each has heard what is to be told of it. */
  readonly #tellers = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor({ journal, origins, eventsMax = 2_048 }: ChatRegionOptions) {
    this.#journal = journal;
    this.logs = openStreamLogs({ journal });
    this.#store = openMemoryReplayStore({ eventsMax });
    this.#live = openLive<AnswerView>({
      store: this.#store,
      source: { observe: async (session) => ({ revision: 0, view: await this.#view(session) }) },
    });
    this.handler = liveHandler<AnswerView>({
      live: { session: (id) => this.#watched(id) },
      // Everybody may watch this example on one machine. In earnest this asks who it is.
      authorize: () => true,
      cors: { origins, credentials: false },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#tellers.values());
    await this.#live.close();
    await this.#store.close();
  }

  /** The session, whose answers are told from the moment somebody looks. */
  #watched(id: string): Pick<LiveSession<AnswerView>, "observe" | "watch" | "cancelTurn"> {
    if (!this.#tellers.has(id)) this.#tellers.set(id, this.#tell(id));
    const session = this.#live.session(id);
    return {
      observe: () => session.observe(),
      watch: (options) => session.watch(options),
      // In the log, where the writer hears of it, in whatever region it is.
      cancelTurn: async (turn) => !(await this.logs.cancel(turn, { session: id })).final,
    };
  }

  /** The answer that began last, as far as it is here. */
  async #view(session: string): Promise<AnswerView> {
    const turn = await this.logs.latest(session);
    if (turn === undefined) return { turn: "", text: "" };
    const { length } = await this.logs.status(turn, { session });
    let text = "";
    if (length === 0) return { turn, text };
    for await (const item of this.logs.read(turn, { session })) {
      if (item.kind === "text") text += item.text;
      if (item.kind === "end" || text.length >= length) break;
    }
    return { turn, text };
  }

  /** Tells of the answers of a session as they reach this region, one after the other. */
  async #tell(session: string): Promise<void> {
    const { signal } = this.#closing;
    const changes = this.#journal.changes(signal)[Symbol.asyncIterator]();
    let told: string | undefined;
    try {
      for (let change = changes.next(); !signal.aborted;) {
        const turn = await this.logs.latest(session);
        if (turn !== undefined && turn !== told) {
          told = turn;
          await this.#tellTurn(session, turn, signal);
          continue;
        }
        if ((await change).done === true) return;
        change = changes.next();
      }
    } finally {
      await changes.return?.();
    }
  }

  async #tellTurn(session: string, turn: string, signal: AbortSignal): Promise<void> {
    const live = this.#live.session(session);
    let position = 0;
    live.publish({ kind: "turn_state", turn, state: "streaming" });
    for await (const item of this.logs.read(turn, { session, signal })) {
      if (item.kind === "text") {
        const piece: AnswerPiece = { turn, position, text: item.text };
        live.publish({ kind: "turn_activity", turn, activity: piece });
        position += item.text.length;
      } else if (item.state !== "missing") {
        live.publish({ kind: "turn_state", turn, state: item.state });
      }
    }
  }
}
