import { MemoryJournals, openStreamLogs } from "@tidemark/live";
import {
  createResumableStreamContext as createOriginal,
  type Publisher,
  type Subscriber,
} from "resumable-stream/generic";
import { expect, test } from "vitest";
import { createResumableStreamContext, type ResumableStreamContext } from "../src/index.ts";

type Shared = Pick<
  ResumableStreamContext,
  "resumableStream" | "createNewResumableStream" | "resumeExistingStream" | "hasExistingStream"
>;

/** A publisher and subscriber of `resumable-stream` in memory. */
function openMemoryBroker(): { publisher: Publisher; subscriber: Subscriber } {
  const values = new Map<string, string>();
  const channels = new Map<string, (message: string) => void>();
  return {
    publisher: {
      connect: async () => undefined,
      publish: async (channel, message) => channels.get(channel)?.(message),
      set: async (key, value) => values.set(key, value),
      get: async (key) => values.get(key) ?? null,
      async incr(key) {
        const value = Number(values.get(key) ?? 0) + 1;
        if (Number.isNaN(value)) throw new Error("ERR value is not an integer or out of range");
        values.set(key, String(value));
        return value;
      },
    },
    subscriber: {
      connect: async () => undefined,
      subscribe: async (channel, callback) => void channels.set(channel, callback),
      unsubscribe: async (channel) => channels.delete(channel),
    },
  };
}

const CONTEXTS: Record<string, () => Shared> = {
  original: () => createOriginal({ ...openMemoryBroker(), waitUntil: null }),
  ours: () => createResumableStreamContext({ journal: new MemoryJournals().journal(), waitUntil: null }),
};

/** A stream of text that a test writes. */
function openSource(): {
  make: () => ReadableStream<string>;
  made: number;
  write(text: string): void;
  close(): void;
} {
  let controller!: ReadableStreamDefaultController<string>;
  const source = {
    made: 0,
    make: () => {
      source.made += 1;
      return new ReadableStream<string>({ start: (given) => void (controller = given) });
    },
    write: (text: string) => controller.enqueue(text),
    close: () => controller.close(),
  };
  return source;
}

async function textOf(stream: ReadableStream<string> | null | undefined): Promise<string | null | undefined> {
  if (stream === null || stream === undefined) return stream;
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

async function until(stream: ReadableStream<string> | null | undefined, length: number) {
  const reader = stream!.getReader();
  let text = "";
  while (text.length < length) text += (await reader.read()).value ?? "";
  const rest = async (): Promise<string> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += value;
    }
  };
  return { text, rest, reader };
}

test.each(Object.keys(CONTEXTS))("LIV-9 resumable streams as the package defines them: %s", async (kind) => {
  const context = CONTEXTS[kind]!();
  expect(await context.hasExistingStream("s")).toBeNull();
  expect(await context.resumeExistingStream("s")).toBeUndefined();

  const source = openSource();
  const first = await context.resumableStream("s", source.make);
  source.write("The tide ");
  const read = await until(first, 9);
  expect(read.text).toBe("The tide ");
  expect(await context.hasExistingStream("s")).toBe(true);
  // Whoever comes second is given what was written, from the start or behind what they have.
  const second = await until(await context.resumableStream("s", source.make), 9);
  const skipping = await context.resumeExistingStream("s", 4);
  const ahead = await context.resumeExistingStream("s", 9);
  // Who asked first goes away: the producer does not.
  await read.reader.cancel();
  source.write("comes ");
  source.write("in.");
  source.close();
  expect(await second.rest()).toBe("The tide comes in.");
  expect(await textOf(skipping)).toBe("tide comes in.");
  expect(await textOf(ahead)).toBe("comes in.");
  expect(source.made).toBe(1);
  expect(await context.hasExistingStream("s")).toBe("DONE");
  expect(await context.resumeExistingStream("s")).toBeNull();
  expect(await context.resumableStream("s", source.make)).toBeNull();
  expect(source.made).toBe(1);

  const other = openSource();
  const created = await context.createNewResumableStream("t", other.make);
  other.write("x");
  other.close();
  expect(await textOf(created)).toBe("x");
  expect(await context.hasExistingStream("t")).toBe("DONE");
});

test("LIV-8 a stream that one region makes is resumed in another, by offset, also when it is done", async () => {
  const journals = new MemoryJournals(["us", "eu"]);
  const us = createResumableStreamContext({ journal: journals.journal("us"), keyPrefix: "app" });
  const eu = createResumableStreamContext({
    streams: openStreamLogs({ journal: journals.journal("eu") }),
    keyPrefix: "app",
  });
  const kept: Promise<unknown>[] = [];
  const source = openSource();
  const context = createResumableStreamContext({
    journal: journals.journal("us"),
    keyPrefix: "app",
    waitUntil: (promise) => void kept.push(promise),
  });
  const first = await until(await context.resumableStream("s", source.make), 0);
  source.write("one ");
  await first.reader.read();
  const behind = (await eu.resumeAfter("s"))!.getReader();
  const seen = (await behind.read()).value!;
  expect(seen.text).toBe("one ");
  await behind.cancel();
  expect(await us.hasExistingStream("s")).toBe(true);
  source.write("two");
  source.close();
  await Promise.all(kept);
  let rest = "";
  for await (const { text } of (await us.resumeAfter("s", seen.offset))!) rest += text;
  expect(rest).toBe("two");
  expect(await eu.resumeAfter("none")).toBeUndefined();
  // Another prefix is another world.
  const elsewhere = createResumableStreamContext({ journal: journals.journal("us") });
  expect(await elsewhere.hasExistingStream("s")).toBeNull();
});

test("LIV-9 a stop in another region cancels what the stream is made of, and readers are told", async () => {
  const journals = new MemoryJournals(["us", "eu"]);
  const us = createResumableStreamContext({ journal: journals.journal("us") });
  const eu = createResumableStreamContext({ journal: journals.journal("eu") });
  let cancelled = false;
  const first = await us.resumableStream(
    "s",
    () =>
      new ReadableStream<string>({
        start: (controller) => controller.enqueue("half"),
        cancel: () => void (cancelled = true),
      }),
  );
  const reading = await until(first, 4);
  await eu.stop("s");
  await expect(reading.rest()).rejects.toMatchObject({ code: "STREAM_INTERRUPTED", state: "cancelled" });
  expect(cancelled).toBe(true);
  expect(await us.hasExistingStream("s")).toBe("DONE");
});

test("LIV-9 a stream whose source fails is an error to all who read it", async () => {
  const journals = new MemoryJournals(["us", "eu"]);
  const us = createResumableStreamContext({ journal: journals.journal("us") });
  const failing = new ReadableStream<string>({
    start: (controller) => controller.error(new Error("the model is gone")),
  });
  const stream = await us.resumableStream("s", () => failing);
  await expect(textOf(stream)).rejects.toMatchObject({ code: "STREAM_INTERRUPTED", state: "error" });
  expect(() => createResumableStreamContext({})).toThrow(TypeError);
});
