import { LiveError, type LiveCursor, type LivePayload, type LiveReplayStore } from "@tidemark/live";
import { openMemoryReplayStore } from "@tidemark/live";
import type { Live, LiveItem, LiveObservation, LiveSession } from "../src/live-shape.ts";

export interface TestView {
  readonly text: string;
}

/** A handle as the real one, over the real store. */
export class FakeLive implements Live<TestView> {
  readonly store: LiveReplayStore;
  view: TestView = { text: "" };
  readonly cancelled: string[] = [];

  constructor(store: LiveReplayStore = openMemoryReplayStore()) {
    this.store = store;
  }

  publish(session: string, payload: LivePayload): Promise<unknown> {
    return this.store.append(session, 0, payload);
  }

  session(session: string): LiveSession<TestView> {
    const observe = async (): Promise<LiveObservation<TestView>> => ({
      session,
      revision: 0,
      view: this.view,
      cursor: await this.store.currentCursor(session, 0),
    });
    const { store } = this;
    async function* watch(
      options: { after?: LiveCursor | string; signal?: AbortSignal } = {},
    ): AsyncGenerator<LiveItem<TestView>> {
      let after = options.after as LiveCursor | undefined;
      if (after === undefined) {
        const observation = await observe();
        after = observation.cursor;
        yield { kind: "observation", observation };
      }
      for (;;) {
        const subscription = await store.subscribeAfter(
          after,
          options.signal === undefined ? {} : { signal: options.signal },
        );
        if (subscription.kind === "gap") {
          const observation = await observe();
          after = observation.cursor;
          yield { kind: "gap", gap: subscription.gap, observation };
          continue;
        }
        try {
          for await (const event of subscription.events) {
            after = event.cursor;
            yield { kind: "event", event };
          }
          return;
        } catch (error) {
          if (!(error instanceof LiveError) || error.code !== "SUBSCRIBER_LAGGED") throw error;
          const observation = await observe();
          const latest = observation.cursor;
          const gap = { session, requested: after, latest, latestRevision: 0, reason: "lagged" } as const;
          after = latest;
          yield { kind: "gap", gap: { ...gap, missed: error.missed ?? 0 }, observation };
        } finally {
          await subscription.events.return?.();
        }
      }
    }
    return {
      observe,
      watch,
      cancelTurn: async (turn) => {
        this.cancelled.push(turn);
        return true;
      },
    };
  }
}
