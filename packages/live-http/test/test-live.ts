import { openLive, openMemoryReplayStore, type LivePayload, type LiveReplayStore } from "@tidemark/live";
import type { ServedLive } from "../src/index.ts";

export interface TestView {
  readonly text: string;
}

/** Live events over a store, of a source that is a field. */
export class TestLive implements ServedLive<TestView> {
  readonly store: LiveReplayStore;
  readonly cancelled: string[] = [];
  view: TestView = { text: "" };
  readonly #live;

  constructor(store: LiveReplayStore = openMemoryReplayStore()) {
    this.store = store;
    this.#live = openLive({ store, source: { observe: async () => ({ revision: 0, view: this.view }) } });
  }

  /** Appends an event; it is there for who watches when this resolves. */
  async publish(session: string, payload: LivePayload): Promise<void> {
    await this.store.append(session, 0, payload);
  }

  session(id: string): ReturnType<ServedLive<TestView>["session"]> {
    const session = this.#live.session(id);
    return {
      observe: () => session.observe(),
      watch: (options) => session.watch(options),
      cancelTurn: async (turn) => {
        this.cancelled.push(turn);
        return true;
      },
    };
  }
}
