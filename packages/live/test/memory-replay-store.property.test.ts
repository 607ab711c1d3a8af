import fc from "fast-check";
import { expect, test } from "vitest";
import { LiveCursor, type LiveEvent, type LiveReplayStore, openMemoryReplayStore } from "../src/index.ts";

const LIMITS = { eventsMax: 4, ageMsMax: 20, bufferedMax: 3 } as const;

/** Every event there ever was, with its time: each answer is worked out anew from the table of the contract. */
class NaiveSession {
  readonly events: { readonly position: number; readonly atMs: number }[] = [];
  #trimmed = 0;

  held(nowMs: number): number[] {
    const held = this.events
      .slice(Math.max(0, this.events.length - LIMITS.eventsMax))
      .filter(({ position, atMs }) => position > this.#trimmed && nowMs - atMs <= LIMITS.ageMsMax)
      .map(({ position }) => position);
    this.#trimmed = Math.max(this.#trimmed, (held[0] ?? this.events.length + 1) - 1);
    return held;
  }

  answer(position: number, nowMs: number): string | number[] {
    const held = this.held(nowMs);
    const tail = this.events.length;
    if (tail === 0) return position === 0 ? [] : "unavailable";
    if (position > tail) return "unavailable";
    if (held.length === 0) return position === tail ? [] : "trimmed";
    return position + 1 < held[0]! ? "trimmed" : held.filter((one) => one > position);
  }
}

/** What a subscriber is to be given: the replay, then all that follows, with lags counted from what is held for it. */
class NaiveSubscriber {
  readonly #replay: number[];
  #taken: number;

  constructor(replay: number[], tail: number) {
    this.#replay = replay;
    this.#taken = tail;
  }

  next(tail: number): number | string | undefined {
    const replayed = this.#replay.shift();
    if (replayed !== undefined) return replayed;
    const missed = tail - LIMITS.bufferedMax - this.#taken;
    if (missed > 0) {
      this.#taken += missed;
      return `lagged ${missed}`;
    }
    // Nothing yet: the next one appended is the answer.
    this.#taken += 1;
    return this.#taken;
  }
}

type Command =
  | { readonly do: "append" | "wait"; readonly session: 0 | 1; readonly count: number }
  | { readonly do: "replay" | "subscribe"; readonly session: 0 | 1; readonly position: number }
  | { readonly do: "next"; readonly session: 0 | 1; readonly subscriber: number }
  | { readonly do: "settle" };

const session = fc.constantFrom(0, 1);
const commands = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("append"), session, count: fc.integer({ min: 1, max: 5 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("wait"), session, count: fc.nat({ max: 15 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("replay"), session, position: fc.nat({ max: 12 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("subscribe"), session, position: fc.nat({ max: 12 }) }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("next"), session, subscriber: fc.nat({ max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("settle") }) },
  ) as fc.Arbitrary<Command>,
  { maxLength: 60 },
);

test("LIV-3 LIV-4 LIV-6 B-28 calls that race take effect in the order they were made in, as a naive model says", async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (commands) => {
      let nowMs = 0;
      const store = openMemoryReplayStore({ ...LIMITS, monotonicMs: () => nowMs });
      const sessions = [new NaiveSession(), new NaiveSession()];
      const incarnations = await Promise.all(["0", "1"].map((id) => incarnationOf(store, id)));
      const readers: { session: number; naive: NaiveSubscriber; real: AsyncIterator<LiveEvent> }[] = [];
      // Nothing is awaited between the calls: what each is to answer is known when it is made.
      const answers: { readonly expected: unknown; readonly actual: Promise<unknown> }[] = [];
      const cursor = (id: number, position: number): LiveCursor =>
        LiveCursor.of({ session: String(id), revision: 0, position, incarnation: incarnations[id]! });
      for (const command of commands) {
        if (command.do === "settle") {
          await Promise.resolve();
          continue;
        }
        const naive = sessions[command.session]!;
        if (command.do === "wait") nowMs += command.count;
        if (command.do === "append") {
          for (let index = 0; index < command.count; index++) {
            const position = naive.events.length + 1;
            naive.events.push({ position, atMs: nowMs });
            naive.held(nowMs);
            const actual = store
              .append(String(command.session), 0, { kind: "turn_activity", activity: position })
              .then(positionOf);
            answers.push({ expected: position, actual });
          }
        }
        if (command.do === "replay") {
          const actual = store.replayAfter(cursor(command.session, command.position));
          answers.push({
            expected: naive.answer(command.position, nowMs),
            actual: actual.then((replay) =>
              replay.kind === "gap" ? replay.gap.reason : replay.events.map(positionOf),
            ),
          });
        }
        if (command.do === "subscribe") {
          const expected = naive.answer(command.position, nowMs);
          const actual = store.subscribeAfter(cursor(command.session, command.position));
          answers.push({
            expected: typeof expected === "string" ? expected : "subscribed",
            actual: actual.then((answer) => (answer.kind === "gap" ? answer.gap.reason : answer.kind)),
          });
          if (typeof expected !== "string") {
            // Its first read is made in the step after, as any caller's is.
            const subscription = await actual;
            if (subscription.kind === "gap") throw new Error("a subscription was expected");
            readers.push({
              session: command.session,
              naive: new NaiveSubscriber(expected, naive.events.length),
              real: subscription.events,
            });
          }
        }
        if (command.do === "next") {
          const reader = readers[command.subscriber];
          if (reader === undefined) continue;
          const expected = reader.naive.next(sessions[reader.session]!.events.length);
          const actual = reader.real.next().then(
            (step) => (step.done === true ? "done" : positionOf(step.value)),
            (error: { missed?: number }) => `lagged ${error.missed}`,
          );
          answers.push({ expected, actual });
        }
      }
      // Whoever waits yet is given what it waits for.
      for (const [id, naive] of sessions.entries()) {
        for (let more = 0; more < 60; more++) {
          naive.events.push({ position: naive.events.length + 1, atMs: nowMs });
          await store.append(String(id), 0, { kind: "turn_activity", activity: 0 });
        }
      }
      for (const { expected, actual } of answers) expect(await actual).toEqual(expected);
      await store.close();
    }),
    { numRuns: 300 },
  );
});

function positionOf({ cursor }: LiveEvent): number {
  return cursor.position;
}

async function incarnationOf(store: LiveReplayStore, session: string): Promise<string> {
  return (await store.currentCursor(session, 0)).incarnation;
}
