import type { ChatRequestOptions, ChatTransport, UIMessage, UIMessageChunk } from "ai";
import { platformClock, type StreamClock } from "@tidemark/live";
import { ChatConnection } from "./chat-connection.ts";
import { ChatError } from "./errors.ts";

/** What `fetch` takes as headers. */
export type RequestHeaders = NonNullable<RequestInit["headers"]>;

/** Options of {@link TidemarkChatTransport}. */
export interface TidemarkChatTransportOptions {
  /** Where the chat is, or where it is in each region, the nearest first. @defaultValue "/api/chat" */
  readonly api?: string | readonly string[];
  readonly headers?: RequestHeaders | (() => RequestHeaders | PromiseLike<RequestHeaders>);
  /** Goes into the body of each message that is sent. */
  readonly body?: object | (() => object | PromiseLike<object>);
  readonly credentials?: NonNullable<RequestInit["credentials"]>;
  readonly fetch?: typeof globalThis.fetch;
  /** How often in a row it is tried to get on, over all regions, before the answer fails. @defaultValue 10 */
  readonly attemptsMax?: number;
  /** How long a connection may be silent before it counts as lost; the server says something every 10 s. @defaultValue 25_000 */
  readonly silenceMs?: number;
  /**
   * Gives a page that was loaded again the last answer also when it is finished: it may have been saved just after the
   * page had read its messages. An answer replaces the message that has its id, so save it under the id that it was sent
   * with. @defaultValue false
   */
  readonly replayFinished?: boolean;
  readonly clock?: StreamClock;
}

type SendOptions<Message extends UIMessage> = Parameters<ChatTransport<Message>["sendMessages"]>[0];
type ReconnectOptions<Message extends UIMessage> = Parameters<ChatTransport<Message>["reconnectToStream"]>[0];

/**
 * A transport for `useChat` and `Chat` of the AI SDK, for a server with `createChatHandlers`.
 *
 * A connection that is lost while an answer comes is made again, in the next region if need be, and goes on behind what
 * was read: no chunk is given twice, and the chat notices nothing. To abort is to stop reading; `stop(chatId)` stops the
 * answer.
 */
export class TidemarkChatTransport<Message extends UIMessage = UIMessage> implements ChatTransport<Message> {
  /** A page that was loaded again is given the answer from its start. */
  readonly resumeStreamIsReplay: boolean = true;
  readonly #options: TidemarkChatTransportOptions;
  readonly #connection: ChatConnection;
  /** Chats whose answer is being given to who asked for it. */
  readonly #sending: Map<string, number> = new Map();
  /** By chat, what ends the answer that is being given to a page that came back. */
  readonly #resuming: Map<string, AbortController> = new Map();
  /** By chat, the answer that was read last. */
  readonly #streams: Map<string, string> = new Map();

  constructor(options: TidemarkChatTransportOptions = {}) {
    const { api = "/api/chat", attemptsMax = 10, silenceMs = 25_000, clock = platformClock } = options;
    const regions = typeof api === "string" ? [api] : [...api];
    if (regions.length === 0) throw new RangeError("api must name at least one place");
    if (!(attemptsMax >= 1)) throw new RangeError(`attemptsMax must be at least 1: ${attemptsMax}`);
    this.#options = options;
    this.#connection = new ChatConnection({
      regions,
      fetch: (input, init) => (options.fetch ?? globalThis.fetch)(input, init),
      attemptsMax,
      silenceMs,
      clock,
    });
  }

  async sendMessages(options: SendOptions<Message>): Promise<ReadableStream<UIMessageChunk>> {
    const { chatId, messages, trigger, messageId, abortSignal } = options;
    // Sent again with the same id, in whatever region, it is the same answer.
    const requestId = crypto.randomUUID();
    this.#remember(chatId, requestId);
    const body = JSON.stringify({
      ...(await valueOf(this.#options.body)),
      ...options.body,
      id: chatId,
      messages,
      trigger,
      messageId,
      requestId,
    });
    const headers = await this.#headers(options);
    headers.set("content-type", "application/json");
    this.#sending.set(chatId, (this.#sending.get(chatId) ?? 0) + 1);
    const ended = (): void => {
      const left = (this.#sending.get(chatId) ?? 1) - 1;
      if (left > 0) this.#sending.set(chatId, left);
      else this.#sending.delete(chatId);
    };
    try {
      const signal = abortSignal ?? new AbortController().signal;
      const first = await this.#connection.request("", {
        ...this.#init(headers),
        method: "POST",
        body,
        signal,
      });
      return this.#chunks(
        { chatId, stream: requestId, headers: await this.#headers(options), signal, ended },
        first,
      );
    } catch (error) {
      ended();
      throw error;
    }
  }

  /**
   * The answer that is being written, from its start; `null` if there is none, or if it is being given to who asked for
   * it. Of two that come back at once only the last is given it: the other's ends.
   */
  async reconnectToStream(
    options: ReconnectOptions<Message>,
  ): Promise<ReadableStream<UIMessageChunk> | null> {
    const { chatId } = options;
    if (this.#sending.has(chatId)) return null;
    this.#resuming.get(chatId)?.abort();
    const superseded = new AbortController();
    this.#resuming.set(chatId, superseded);
    const ended = (): void => {
      if (this.#resuming.get(chatId) === superseded) this.#resuming.delete(chatId);
    };
    const signal = options.abortSignal ?? new AbortController().signal;
    const headers = await this.#headers(options);
    try {
      const query = this.#options.replayFinished === true ? "?replay=finished" : "";
      const first = await this.#connection.request(`/${segmentOf(chatId)}/stream${query}`, {
        ...this.#init(headers),
        signal: AbortSignal.any([signal, superseded.signal]),
      });
      if (first.status === 204) {
        ended();
        return null;
      }
      return this.#chunks(
        { chatId, stream: undefined, headers, signal, superseded: superseded.signal, ended },
        first,
      );
    } catch (error) {
      ended();
      if (superseded.signal.aborted && !signal.aborted) return null;
      throw error;
    }
  }

  /** Stops the answer of a chat, in whatever region it is written. Resolves once a region has taken it down. */
  async stop(
    chatId: string,
    options: ChatRequestOptions & { abortSignal?: AbortSignal } = {},
  ): Promise<void> {
    const stream = this.#streams.get(chatId);
    const query = stream === undefined ? "" : `?stream=${encodeURIComponent(stream)}`;
    const headers = await this.#headers(options);
    const { abortSignal: signal = new AbortController().signal } = options;
    await this.#connection.request(`/${segmentOf(chatId)}/stop${query}`, {
      ...this.#init(headers),
      method: "POST",
      signal,
    });
  }

  #chunks(
    answer: {
      readonly chatId: string;
      readonly stream: string | undefined;
      readonly headers: Headers;
      readonly signal: AbortSignal;
      readonly superseded?: AbortSignal;
      readonly ended: () => void;
    },
    first: Response,
  ): ReadableStream<UIMessageChunk> {
    const { chatId, stream, headers, signal, superseded, ended } = answer;
    return this.#connection.chunks(first, {
      path: `/${segmentOf(chatId)}/stream`,
      stream,
      found: (one) => this.#remember(chatId, one),
      init: this.#init(headers),
      signal,
      superseded,
      ended,
    });
  }

  /** The last of them; the oldest chat is forgotten when there are many. */
  #remember(chatId: string, stream: string): void {
    this.#streams.delete(chatId);
    this.#streams.set(chatId, stream);
    const [oldest] = this.#streams.keys();
    if (this.#streams.size > CHATS_MAX && oldest !== undefined) this.#streams.delete(oldest);
  }

  #init(headers: Headers): RequestInit {
    const { credentials } = this.#options;
    return { headers, ...(credentials === undefined ? {} : { credentials }) };
  }

  async #headers(options: ChatRequestOptions): Promise<Headers> {
    const headers = new Headers(await valueOf(this.#options.headers));
    new Headers(options.headers).forEach((value, name) => headers.set(name, value));
    return headers;
  }
}

const CHATS_MAX = 1_000;

async function valueOf<Value>(
  option: Value | (() => Value | PromiseLike<Value>) | undefined,
): Promise<Value | undefined> {
  return typeof option === "function" ? await (option as () => Value | PromiseLike<Value>)() : option;
}

/** @throws {@link ChatError} for an id that a URL would drop. */
function segmentOf(chatId: string): string {
  if (chatId === "." || chatId === "..")
    throw new ChatError("CHAT_REQUEST_INVALID", 'The id of a chat must not be "." or ".."');
  return encodeURIComponent(chatId);
}
