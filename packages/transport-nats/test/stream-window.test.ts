import { headers } from "@nats-io/nats-core";
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { expect, test } from "vitest";
import type { Answer } from "../src/answer.ts";
import type { Inbox } from "../src/inbox.ts";
import { StreamWindow } from "../src/stream-window.ts";

const REFUSED = { error: { code: 400, err_code: 10070, description: "wrong last msg ID" } };

/** A window over a broker whose answers a test gives by hand, and timers that it lets fire. */
class Bench {
  readonly window: StreamWindow;
  readonly answers: [string, Answer][] = [];
  /** What each message was told to come behind. */
  readonly behind: [string, string][] = [];
  readonly #hearing: Map<string, (message: Msg) => void> = new Map();
  #timer: (() => void) | undefined;
  #looks: number = 0;
  /** How often the time of a message began. */
  watches: number = 0;
  /** Called with each answer, as a lane is that has more to send. */
  onAnswer: () => void = () => undefined;

  constructor(publishWindowMax: number) {
    const inbox = {
      expect: (hear: (message: Msg) => void) => {
        const reply = `${this.#hearing.size}`;
        this.#hearing.set(reply, hear);
        return { reply, forget: () => undefined };
      },
    };
    const setTimer = (_ms: number, run: () => void): (() => void) => {
      this.#timer = run;
      this.watches += 1;
      return () => (this.#timer = undefined);
    };
    this.window = new StreamWindow({
      inbox: inbox as unknown as Inbox,
      platform: { setTimer, random: () => 0 },
      settings: { publishWindowMax, ackTimeoutMs: 1 },
      closing: new AbortController().signal,
    });
  }

  get looks(): number {
    return this.#looks;
  }

  admits(follows: boolean, subject = "s", look: () => void = this.look): boolean {
    return this.window.admits(subject, 1, follows, look);
  }

  readonly look = (): void => void (this.#looks += 1);

  send(id: string, subject = "s"): void {
    const made = headers();
    const live = {
      publish: () => this.behind.push([id, made.get("Nats-Expected-Last-Msg-Id")]),
    } as unknown as NatsConnection;
    this.window.send(live, {
      subject,
      id,
      bytes: new Uint8Array(1),
      headers: made,
      answered: (answer) => {
        this.answers.push([id, answer]);
        this.onAnswer();
      },
    });
  }

  /** The broker answers the messages in the order they were sent in. */
  answer(at: number, answer: object = { seq: at + 1 }): void {
    const text = JSON.stringify(answer);
    this.#hearing.get(`${at}`)!({ string: () => text, data: new Uint8Array(1) } as unknown as Msg);
  }

  silence(): void {
    this.#timer?.();
  }
}

test("StreamWindow chains every message to the one sent before it, and starts anew when none is under way", () => {
  const bench = new Bench(3);
  for (const id of ["a1", "b1", "a2"]) {
    expect(bench.admits(id === "a2")).toBe(true);
    bench.send(id);
  }
  expect(bench.admits(true)).toBe(false);
  expect(bench.looks).toBe(0);
  bench.answer(0);
  expect(bench.looks).toBe(1);
  expect(bench.admits(true)).toBe(true);
  bench.send("b2");
  for (const at of [1, 2, 3]) bench.answer(at);
  bench.send("a3");
  expect(bench.behind).toEqual([
    ["a1", ""],
    ["b1", "a1"],
    ["a2", "b1"],
    ["b2", "a2"],
    ["a3", ""],
  ]);
});

test("StreamWindow after a refusal waits for all answers, then stores one message a subject until it has proved itself", () => {
  const bench = new Bench(8);
  for (const id of ["a1", "a2", "a3"]) bench.send(id);
  bench.answer(0);
  bench.answer(1, REFUSED);
  expect([bench.admits(false), bench.admits(true)]).toEqual([false, false]);
  bench.answer(2, REFUSED);
  // Of a subject with nothing under way, and of no other.
  expect([bench.admits(false), bench.admits(true)]).toEqual([true, false]);
  bench.send("a2 again");
  bench.send("b1");
  expect(bench.behind.slice(3)).toEqual([
    ["a2 again", ""],
    ["b1", ""],
  ]);
  bench.answer(3);
  bench.answer(4);
  expect([bench.admits(false), bench.admits(true)]).toEqual([true, true]);
});

test("StreamWindow stays shut twice as long each time it is refused again soon, and is forgiven after a calm", () => {
  const bench = new Bench(4);
  let sent = 0;
  /** Messages stored one at a time until more are admitted. */
  const alone = (): number => {
    let count = 0;
    for (; !bench.admits(true); count++) {
      bench.send(`m${sent}`);
      bench.answer(sent++);
    }
    return count;
  };
  const refuse = (): void => {
    bench.send(`m${sent}`);
    bench.answer(sent++, REFUSED);
  };
  const shut: number[] = [];
  for (let time = 0; time < 12; time++) {
    refuse();
    shut.push(alone());
  }
  expect(shut).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_024, 1_024]);
  for (let count = 0; count < 256; count++) {
    bench.send(`m${sent}`);
    bench.answer(sent++);
  }
  refuse();
  expect(alone()).toBe(1);
});

test("StreamWindow gives up all messages under way when nothing was answered in time, and hears of none of them again", () => {
  const bench = new Bench(4);
  for (const id of ["a1", "a2", "a3"]) bench.send(id);
  bench.answer(0);
  bench.silence();
  expect(bench.answers).toEqual([
    ["a1", { seq: 1, repeat: false }],
    ["a2", "silent"],
    ["a3", "silent"],
  ]);
  bench.answer(1);
  expect(bench.answers).toHaveLength(3);
  expect([bench.admits(false), bench.admits(true)]).toEqual([true, false]);
});

test("StreamWindow gives up a message whose answer was lost, however often younger ones are answered", () => {
  const bench = new Bench(4);
  for (const id of ["a1", "b1"]) bench.send(id);
  const watched = bench.watches;
  bench.answer(1);
  bench.send("b2");
  bench.answer(2);
  expect(bench.watches).toBe(watched);
  bench.silence();
  expect(bench.answers.at(-1)).toEqual(["a1", "silent"]);
});

test("StreamWindow sends nothing behind another subject's message while its own are under way", () => {
  const bench = new Bench(4);
  bench.send("a1", "a");
  bench.send("b1", "b");
  expect(bench.admits(true, "a")).toBe(false);
  expect(bench.admits(true, "b")).toBe(true);
  bench.answer(0);
  expect(bench.admits(false, "a")).toBe(true);
});

test("StreamWindow gives room to whoever has waited for it longest", () => {
  const full = new Bench(2);
  for (const id of ["a1", "a2"]) full.send(id, "a");
  const order: boolean[] = [];
  expect(full.admits(false, "b", () => order.push(full.admits(false, "b")))).toBe(false);
  // Answered, subject a asks before anybody is woken: it is not its turn.
  full.onAnswer = () => order.push(full.admits(true, "a"));
  full.answer(0);
  expect(order).toEqual([false, true]);
});

test("StreamWindow of one message never has two of a subject under way, and lets subjects stand for themselves", () => {
  const bench = new Bench(1);
  bench.send("a1");
  expect([bench.admits(false), bench.admits(true)]).toEqual([true, false]);
  bench.send("b1");
  for (const at of [0, 1]) bench.answer(at);
  expect(bench.behind).toEqual([
    ["a1", ""],
    ["b1", ""],
  ]);
  bench.send("a2");
  expect([bench.admits(false), bench.admits(true)]).toEqual([true, false]);
});
