import { MemoryJournals, openStreamLogs, type StreamLogs } from "@tidemark/live";
import {
  AbstractChat,
  type ChatState,
  type ChatStatus,
  type ChatTransport,
  convertToModelMessages,
  streamText,
  type UIMessage,
} from "ai";
import { MockLanguageModelV3 } from "ai/test";
import {
  type ChatHandlers,
  type ChatHandlersOptions,
  createChatHandlers,
  TidemarkChatTransport,
  type TidemarkChatTransportOptions,
} from "../src/index.ts";

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 1, text: 1, reasoning: undefined },
};

/** A model that says what a test has it say. */
export class TestModel {
  calls: number = 0;
  aborted: boolean = false;
  #controller: { enqueue(part: object): void; close(): void; error(error: unknown): void } | undefined;
  readonly #called: (() => void)[] = [];
  readonly model: MockLanguageModelV3 = new MockLanguageModelV3({
    doStream: async ({ abortSignal }) => {
      this.calls += 1;
      const stream = new ReadableStream({
        start: (controller) => {
          this.#controller = controller;
          controller.enqueue({ type: "stream-start", warnings: [] });
          controller.enqueue({ type: "text-start", id: "1" });
          abortSignal?.addEventListener("abort", () => {
            this.aborted = true;
            controller.error(abortSignal.reason);
          });
        },
      });
      for (const called of this.#called.splice(0)) called();
      return { stream };
    },
  });

  /** Resolves when it is asked something. */
  async called(): Promise<void> {
    if (this.#controller === undefined) await new Promise<void>((resolve) => this.#called.push(resolve));
  }

  say(text: string): void {
    this.#controller?.enqueue({ type: "text-delta", id: "1", delta: text });
  }

  end(): void {
    this.#controller?.enqueue({ type: "text-end", id: "1" });
    this.#controller?.enqueue({
      type: "finish",
      finishReason: { unified: "stop", raw: "stop" },
      usage: USAGE,
    });
    this.#controller?.close();
    this.#controller = undefined;
  }

  fail(error: Error): void {
    this.#controller?.error(error);
  }
}

/** A chat without a screen. */
export class TestChat extends AbstractChat<UIMessage> {
  readonly statuses: ChatStatus[] = [];

  constructor(transport: ChatTransport<UIMessage>, id: string, messages: UIMessage[] = []) {
    const statuses: ChatStatus[] = [];
    const data: unknown[] = [];
    super({
      id,
      transport,
      state: new TestState(messages, statuses),
      onData: (part) => data.push(part.data),
      onError: () => undefined,
    });
    this.statuses = statuses;
    this.data = data;
  }

  readonly data: unknown[];

  /** The text of the last message. */
  get text(): string {
    return (this.lastMessage?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
  }
}

class TestState implements ChatState<UIMessage> {
  error: Error | undefined = undefined;
  messages: UIMessage[];
  readonly #statuses: ChatStatus[];
  #status: ChatStatus = "ready";

  constructor(messages: UIMessage[], statuses: ChatStatus[]) {
    this.messages = messages;
    this.#statuses = statuses;
  }

  get status(): ChatStatus {
    return this.#status;
  }

  set status(status: ChatStatus) {
    this.#status = status;
    this.#statuses.push(status);
  }

  pushMessage = (message: UIMessage): void => {
    this.messages = [...this.messages, message];
  };

  popMessage = (): void => {
    this.messages = this.messages.slice(0, -1);
  };

  replaceMessage = (index: number, message: UIMessage): void => {
    this.messages = this.messages.with(index, this.snapshot(message));
  };

  snapshot = <Value>(value: Value): Value => structuredClone(value);
}

export interface TestRegion {
  readonly streams: StreamLogs;
  readonly model: TestModel;
  readonly handlers: ChatHandlers;
  readonly saved: UIMessage[][];
  /** What connections to it do. */
  readonly link: { down: boolean; readonly drops: Set<() => void>; drop(): void };
}

/** Two regions whose chats are at `https://<name>.test/api/chat`, and a network between them and the pages. */
export function openChatRegions(
  options: Partial<ChatHandlersOptions> = {},
  streamOptions: { ttlMs?: number } = {},
) {
  const journals = new MemoryJournals(["us", "eu"]);
  const open = (name: string): TestRegion => {
    const streams = openStreamLogs({ journal: journals.journal(name), coalesceMs: 5, ...streamOptions });
    const model = new TestModel();
    const saved: UIMessage[][] = [];
    const handlers = createChatHandlers({
      streams,
      development: true,
      saveMessages: async ({ messages }) => void saved.push(messages),
      respond: async ({ messages, signal }) =>
        streamText({
          model: model.model,
          messages: await convertToModelMessages(messages),
          abortSignal: signal,
          onError: () => undefined,
        }).toUIMessageStream(),
      ...options,
    });
    const drops = new Set<() => void>();
    const link = {
      down: false,
      drop() {
        for (const drop of [...drops]) drop();
      },
      drops,
    };
    return { streams, model, handlers, saved, link };
  };
  const regions = { us: open("us"), eu: open("eu") };
  const requests: string[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const name = new URL(request.url).hostname.split(".")[0] as "us" | "eu";
    requests.push(`${request.method} ${name} ${new URL(request.url).pathname}`);
    const { handlers, link } = regions[name];
    if (link.down) throw new TypeError("fetch failed");
    return droppable(await handlers.handle(request), link.drops, init?.signal ?? undefined);
  };
  const transport = (overrides: TidemarkChatTransportOptions = {}): TidemarkChatTransport =>
    new TidemarkChatTransport({
      api: ["us", "eu"].map((name) => `https://${name}.test/api/chat`),
      fetch,
      ...overrides,
    });
  return { ...regions, journals, requests, fetch, transport };
}

/** A response whose body a network may cut off. */
function droppable(response: Response, drops: Set<() => void>, signal: AbortSignal | undefined): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const end = (error: unknown): void => {
        drops.delete(drop);
        controller.error(error);
        void reader.cancel().catch(() => undefined);
      };
      const drop = (): void => end(new TypeError("network error"));
      drops.add(drop);
      signal?.addEventListener("abort", () => end(signal.reason));
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch {
        // It was cut off.
      }
    },
    cancel: () => reader.cancel(),
  });
  return new Response(body, response);
}

/** Resolves once something holds. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
