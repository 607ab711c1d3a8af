import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createChatHandlers, TidemarkChatTransport } from "@tidemark/ai-sdk";
import { openStreamLogs, parseStreamOffset, type StreamClock } from "@tidemark/live";
import type { Region } from "@tidemark/region";
import { openRegion } from "@tidemark/region/node";
import { regionJournal } from "@tidemark/session-store";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { convertToModelMessages, streamText, type UIMessageChunk } from "ai";
import { MockLanguageModelV3 } from "ai/test";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ANSWER_SESSION, ANSWER_STREAM, ANSWER_TTL_MS, answerRegion } from "./answer.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-chat-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const NAMES = ["us-east", "eu-west"] as const;
const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };

/** A model that says what the test has it say; what it was aborted with is its `reason`. */
function openModel() {
  let controller: ReadableStreamDefaultController | undefined;
  const state = { aborted: false };
  const model = new MockLanguageModelV3({
    doStream: async ({ abortSignal }) => {
      abortSignal?.addEventListener("abort", () => {
        state.aborted = true;
        controller?.error(abortSignal.reason);
      });
      const stream = new ReadableStream({
        start(given) {
          controller = given;
          given.enqueue({ type: "text-start", id: "1" });
        },
      });
      return { stream };
    },
  });
  const say = (delta: string): void => controller?.enqueue({ type: "text-delta", id: "1", delta });
  const end = (): void => {
    controller?.enqueue({ type: "text-end", id: "1" });
    controller?.close();
    controller = undefined;
  };
  /** Resolves once it is asked something. */
  const asked = (): Promise<void> => expect.poll(() => controller !== undefined).toBe(true);
  return { model, state, say, end, asked };
}

const TTL_MS = 60_000;

/** The clock of the platform, which a test can put forward: what is due by then happens at once. */
class ForwardClock implements StreamClock {
  #aheadMs: number = 0;
  readonly #timers: Map<() => void, number> = new Map();

  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now() + this.#aheadMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const fire = (): void => {
      callOff();
      run();
    };
    const timer = setTimeout(fire, delayMs);
    const callOff = (): void => {
      clearTimeout(timer);
      this.#timers.delete(fire);
    };
    this.#timers.set(fire, this.monotonicMs() + delayMs);
    return callOff;
  }

  forward(ms: number): void {
    this.#aheadMs += ms;
    for (const [fire, dueMs] of [...this.#timers]) if (dueMs <= this.monotonicMs()) fire();
  }
}

/** Two regions with a chat each, and a network that knows where `https://<region>.test` is. */
async function openChats() {
  const network = createInProcessNetwork();
  const talk = openModel();
  const open = async (name: (typeof NAMES)[number]) => {
    const region = await openRegion({
      name,
      members,
      bootstrap: name === "us-east",
      dir: join(dir, name),
      transport: network.join(name),
      clusterKey: network.clusterKey,
    });
    const clock = new ForwardClock();
    const journal = regionJournal(region, { user: "ada" });
    const streams = openStreamLogs({ journal, ttlMs: TTL_MS, clock });
    const handlers = createChatHandlers({
      streams,
      development: true,
      saveMessages: null,
      respond: async ({ messages, signal }) =>
        streamText({
          model: talk.model,
          messages: await convertToModelMessages(messages),
          abortSignal: signal,
          onError: () => undefined,
        }).toUIMessageStream(),
    });
    return { region, handlers, clock };
  };
  const us = await open("us-east");
  const eu = await open("eu-west");
  await eu.region.ready();
  const fetch: typeof globalThis.fetch = (input, init) => {
    const request = new Request(input, init);
    const { handlers } = new URL(request.url).hostname.startsWith("us-east") ? us : eu;
    return handlers.handle(request);
  };
  const pageOf = (name: (typeof NAMES)[number]) =>
    new TidemarkChatTransport({ api: `https://${name}.test/api/chat`, fetch });
  const close = async (): Promise<void> => {
    await us.region.close();
    await eu.region.close();
    await network[Symbol.asyncDispose]();
  };
  return { network, talk, us, eu, pageOf, [Symbol.asyncDispose]: close };
}

/** Chunks as they come. */
function collect(stream: ReadableStream<UIMessageChunk>) {
  const chunks: UIMessageChunk[] = [];
  const waiting: (() => void)[] = [];
  const done = (async () => {
    for await (const chunk of stream) {
      chunks.push(chunk);
      for (const wake of waiting.splice(0)) wake();
    }
  })();
  const text = (): string => chunks.map((chunk) => (chunk.type === "text-delta" ? chunk.delta : "")).join("");
  const reaches = async (wanted: string): Promise<void> => {
    while (text() !== wanted) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { chunks, done, text, reaches };
}

/** Resolves once the other region has heard of all that this one wrote. */
async function heard(region: Region): Promise<void> {
  expect(await region.synced({ timeoutMs: 20_000 })).toBe(true);
}

const TURN = {
  chatId: "trip",
  trigger: "submit-message" as const,
  messageId: undefined,
  messages: [{ id: "m1", role: "user" as const, parts: [{ type: "text" as const, text: "When?" }] }],
  abortSignal: undefined,
};

test("LIV-8 LIV-9 a page that is loaded again in the other region has the answer once, and stops it there", async () => {
  await using chats = await openChats();
  const { us, talk, pageOf } = chats;
  const first = collect(await pageOf("us-east").sendMessages(TURN));
  await talk.asked();
  talk.say("The tide ");
  await first.reaches("The tide ");
  await heard(us.region);
  const second = collect((await pageOf("eu-west").reconnectToStream({ chatId: "trip" }))!);
  await second.reaches("The tide ");
  talk.say("comes in.");
  talk.end();
  await Promise.all([first.done, second.done]);
  expect(second.text()).toBe("The tide comes in.");
  expect(second.chunks).toEqual(first.chunks);

  const third = collect(await pageOf("us-east").sendMessages(TURN));
  await talk.asked();
  talk.say("It ");
  await third.reaches("It ");
  await heard(us.region);
  const elsewhere = pageOf("eu-west");
  const fourth = collect((await elsewhere.reconnectToStream({ chatId: "trip" }))!);
  await fourth.reaches("It ");
  await elsewhere.stop("trip");
  await Promise.all([third.done, fourth.done]);
  expect(talk.state.aborted).toBe(true);
  for (const page of [third, fourth])
    expect(page.chunks).toContainEqual(expect.objectContaining({ data: { state: "cancelled" } }));
});

test("LIV-9 a page in a region that is cut off is told so, and has the rest when the link is back", async () => {
  await using chats = await openChats();
  const { network, us, eu, talk, pageOf } = chats;
  const first = collect(await pageOf("us-east").sendMessages(TURN));
  await talk.asked();
  talk.say("The tide ");
  await first.reaches("The tide ");
  await heard(us.region);
  const page = pageOf("eu-west");
  const cut = collect((await page.reconnectToStream({ chatId: "trip" }))!);
  await cut.reaches("The tide ");
  network.cut("us-east", "eu-west");
  eu.clock.forward(2 * TTL_MS);
  await cut.done;
  expect(cut.chunks).toContainEqual(expect.objectContaining({ data: { state: "orphaned" } }));
  talk.say("comes ");
  await first.reaches("The tide comes ");
  network.heal("us-east", "eu-west");
  await heard(us.region);
  const again = collect((await page.reconnectToStream({ chatId: "trip" }))!);
  await again.reaches("The tide comes ");
  talk.say("in.");
  talk.end();
  await Promise.all([first.done, again.done]);
  expect(again.text()).toBe("The tide comes in.");
});

test("LIV-9 what a producer had flushed when its process was killed is read, and it counts as orphaned", async () => {
  const program = fileURLToPath(new URL("answer-process.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    ["--conditions=@tidemark/source", "--import", "tsx", program, join(dir, "us")],
    {
      env: { ...process.env, NODE_OPTIONS: "" },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let flushed = 0;
  for await (const line of createInterface(child.stdout)) {
    flushed = parseStreamOffset(line).position;
    if (flushed > 100) break;
  }
  child.kill("SIGKILL");
  await once(child, "exit");

  await using network = createInProcessNetwork();
  await using region = await openRegion({
    ...answerRegion(join(dir, "us")),
    transport: network.join("us-east"),
    clusterKey: network.clusterKey,
  });
  const journal = regionJournal(region, { user: "ada" });
  const streams = openStreamLogs({ journal, ttlMs: ANSWER_TTL_MS, skewMsMax: 0 });
  let text = "";
  let state: string | undefined;
  for await (const item of streams.read(ANSWER_STREAM, { session: ANSWER_SESSION })) {
    if (item.kind === "text") text += item.text;
    else state = item.state;
  }
  expect(state).toBe("orphaned");
  expect(text.length).toBeGreaterThanOrEqual(flushed);
  const words = Array.from({ length: text.split(" ").length - 1 }, (_, word) => `${word} `);
  expect(text).toBe(words.join(""));
});
