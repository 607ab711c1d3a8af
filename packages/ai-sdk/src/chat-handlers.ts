import type { UIMessage, UIMessageChunk } from "ai";
import {
  parseStreamOffset,
  platformClock,
  type StreamClock,
  StreamLogError,
  type StreamLogs,
  type StreamWriter,
} from "@tidemark/live";
import { CHAT_EVENT_HEADERS, eventOf } from "./chat-events.ts";
import { chatEventStream } from "./chat-event-stream.ts";
import { type ChatRequest, checkChatId, readChatRequest } from "./chat-request.ts";
import { ChatError } from "./errors.ts";
import { errorResponse } from "./error-response.ts";
import { pipeToStream } from "./stream-producer.ts";

/** What somebody wants to do with a chat. */
export interface ChatAccess {
  readonly chatId: string;
  readonly action: "send" | "resume" | "stop";
}

/** A turn of a chat that is to be saved, and answered. */
export interface ChatTurn<Message extends UIMessage = UIMessage> extends ChatRequest<Message> {
  /** Names the answer; the id of its message, unless the model gives it another. */
  readonly streamId: string;
  readonly request: Request;
}

/** Options of {@link createChatHandlers}. */
export interface ChatHandlersOptions<Message extends UIMessage = UIMessage> {
  /** The streams of this region, see `openStreamLogs` of `@tidemark/live`. */
  readonly streams: StreamLogs;
  /**
   * Calls the model. `signal` is aborted when somebody stopped the answer, in whatever region, and when nobody will read
   * it; never because somebody went away.
   */
  readonly respond: (
    turn: ChatTurn<Message> & { readonly signal: AbortSignal },
  ) => ReadableStream<UIMessageChunk> | PromiseLike<ReadableStream<UIMessageChunk>>;
  /**
   * Saves what the user said. The model is called once it has resolved: what is lost then is an answer, not a message. A
   * message may come twice, with the same id. `null` if nothing is saved.
   */
  readonly saveMessages: ((turn: ChatTurn<Message>) => PromiseLike<void>) | null;
  /** Whether somebody may: or the response that says why not. Without it nothing may, unless `development`. */
  readonly authorize?: (
    request: Request,
    access: ChatAccess,
  ) => boolean | Response | PromiseLike<boolean | Response>;
  /** Lets everybody do everything: for a machine of one's own. @defaultValue false */
  readonly development?: boolean;
  /** The session whose journal has the answers of a chat. @defaultValue the id of the chat */
  readonly session?: (chatId: string) => string;
  /** Keeps the process alive until an answer is written. */
  readonly waitUntil?: (promise: Promise<unknown>) => void;
  /** What a reader is told of a failure; here is the place to log it. @defaultValue "An error occurred." */
  readonly onError?: (error: unknown) => string;
  /** How long a connection may be silent, 10,000 at most. @defaultValue 10_000 */
  readonly heartbeatMs?: number;
  /** How long to wait for an answer that this region has not heard of. @defaultValue 5_000 */
  readonly missingMs?: number;
  /** Bytes of a request; a larger one is refused. @defaultValue 4 MiB */
  readonly bodyBytesMax?: number;
  readonly clock?: StreamClock;
}

/** Handlers of one chat endpoint: a request in, a response out. They never throw. */
export interface ChatHandlers {
  /** `POST /api/chat`: saves the message, calls the model, and gives the answer as it becomes durable here. */
  readonly post: (request: Request) => Promise<Response>;
  /**
   * `GET /api/chat/<chat>/stream`: the answer that is being written, from the start, or behind `Last-Event-ID` or
   * `?offset=`. 204 if there is none, or nothing is left of it. `?replay=finished` gives the last answer also when it is
   * finished, for a page that may have read its messages before that answer was saved.
   */
  readonly resume: (request: Request) => Promise<Response>;
  /** `POST /api/chat/<chat>/stop`: stops the answer, wherever it is written, with its state as JSON. 204 if there is none. */
  readonly stop: (request: Request) => Promise<Response>;
  /** Any of the three, by method and path. */
  readonly handle: (request: Request) => Promise<Response>;
}

const ERROR_SHOWN = "An error occurred.";
const HEARTBEAT_MS_MAX = 10_000;
const BODY_BYTES_MAX: number = 4 * 1024 * 1024;

/**
 * Makes the handlers of a chat whose answers outlive the tab, the connection and the region that asked for them.
 *
 * @throws `TypeError` without `authorize`, unless it is for `development`.
 */
export function createChatHandlers<Message extends UIMessage = UIMessage>(
  options: ChatHandlersOptions<Message>,
): ChatHandlers {
  const {
    streams,
    respond,
    saveMessages,
    development = false,
    session: sessionOf = (chatId: string) => chatId,
    heartbeatMs = HEARTBEAT_MS_MAX,
    missingMs = 5_000,
    bodyBytesMax = BODY_BYTES_MAX,
    clock = platformClock,
  } = options;
  const onError = (error: unknown): string => {
    try {
      return options.onError?.(error) ?? ERROR_SHOWN;
    } catch {
      // Whoever failed to log a failure is not to fail for it.
      return ERROR_SHOWN;
    }
  };
  const authorize = options.authorize ?? (() => development);
  if (options.authorize === undefined && !development)
    throw new TypeError("createChatHandlers needs authorize, or development: true");
  if (!(heartbeatMs > 0 && heartbeatMs <= HEARTBEAT_MS_MAX))
    throw new RangeError(`heartbeatMs must be more than 0 and at most ${HEARTBEAT_MS_MAX}: ${heartbeatMs}`);

  const allowed = async (request: Request, access: ChatAccess): Promise<Response | undefined> => {
    const answer = await authorize(request, access);
    if (answer === true) return undefined;
    return answer === false
      ? errorResponse(
          new ChatError("CHAT_FORBIDDEN", `This chat may not be used to ${access.action}`),
          onError,
        )
      : answer;
  };
  const events = (session: string, stream: string, after?: string): Response =>
    new Response(chatEventStream({ streams, clock, session, stream, after, heartbeatMs, missingMs }), {
      headers: CHAT_EVENT_HEADERS,
    });

  const save = async (turn: ChatTurn<Message>): Promise<void> => {
    try {
      await saveMessages?.(turn);
    } catch (cause) {
      onError(cause);
      throw new ChatError("CHAT_NOT_SAVED", "The message could not be saved", { cause });
    }
  };
  const produce = (writer: StreamWriter, turn: ChatTurn<Message>): Promise<void> =>
    pipeToStream(
      writer,
      () => respond({ ...turn, signal: writer.signal }),
      (chunk) => eventOf(withMessageId(chunk, turn)),
      onError,
    );

  const post = async (request: Request): Promise<Response> => {
    const sent = await readChatRequest<Message>(request, bodyBytesMax);
    const refused = await allowed(request, { chatId: sent.chatId, action: "send" });
    if (refused !== undefined) return refused;
    const session = sessionOf(sent.chatId);
    const streamId = sent.requestId ?? crypto.randomUUID();
    // A request that was sent again, because its response was lost, has its answer already.
    const { state } = await streams.status(streamId, { session });
    if (state === "missing") {
      const turn = { ...sent, streamId, request };
      await save(turn);
      try {
        const written = produce(await streams.start(streamId, { session }), turn);
        options.waitUntil?.(written);
      } catch (error) {
        if (
          !(error instanceof StreamLogError) ||
          error.code === "STREAM_UNAVAILABLE" ||
          error.code === "STREAM_LIMIT"
        )
          throw error;
      }
    }
    return events(session, streamId);
  };

  const resume = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const chatId = chatIdOf(url);
    const refused = await allowed(request, { chatId, action: "resume" });
    if (refused !== undefined) return refused;
    const session = sessionOf(chatId);
    const after = request.headers.get("last-event-id") ?? url.searchParams.get("offset") ?? undefined;
    const asked = after === undefined ? url.searchParams.get("stream") : parseStreamOffset(after).stream;
    const stream = asked ?? (await streams.latest(session));
    if (stream === undefined) return nothing();
    const { state, final, length } = await streams.status(stream, { session });
    // A page that just came has what was finished from where its messages are kept, unless it says that it may not.
    if (asked === null && final && url.searchParams.get("replay") !== "finished") return nothing();
    if (after !== undefined && state === "done" && parseStreamOffset(after).position >= length)
      return nothing();
    return events(session, stream, after);
  };

  const stop = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const chatId = chatIdOf(url);
    const refused = await allowed(request, { chatId, action: "stop" });
    if (refused !== undefined) return refused;
    const session = sessionOf(chatId);
    const stream = url.searchParams.get("stream") ?? (await streams.latest(session));
    if (stream === undefined) return nothing();
    const { state } = await streams.cancel(stream, { session });
    return Response.json({ stream, state });
  };

  const caught =
    (handler: (request: Request) => Promise<Response>) =>
    async (request: Request): Promise<Response> => {
      try {
        return await handler(request);
      } catch (error) {
        return errorResponse(error, onError);
      }
    };
  return {
    post: caught(post),
    resume: caught(resume),
    stop: caught(stop),
    handle: caught((request) => {
      const { pathname } = new URL(request.url);
      if (request.method === "GET") return resume(request);
      if (request.method === "POST") return pathname.endsWith("/stop") ? stop(request) : post(request);
      throw new ChatError("CHAT_UNKNOWN_PATH", `No chat answers ${request.method}`);
    }),
  };
}

/** The one before `/stream` or `/stop`, as the transports of the AI SDK have it. */
function chatIdOf({ pathname }: URL): string {
  const encoded = /\/([^/]+)\/(?:stream|stop)\/?$/.exec(pathname)?.[1];
  if (encoded === undefined)
    throw new ChatError("CHAT_UNKNOWN_PATH", "The path must end with the id of a chat and /stream or /stop");
  try {
    return checkChatId(decodeURIComponent(encoded));
  } catch (cause) {
    throw new ChatError("CHAT_REQUEST_INVALID", "The id of the chat in the path is none", { cause });
  }
}

/**
 * An answer that is given again has the id that it had: a page that has part of it replaces that part. One that goes on
 * with a message, after a tool was called in the page, has the id of that message.
 */
function withMessageId(chunk: UIMessageChunk, { messages, streamId }: ChatTurn): UIMessageChunk {
  if (chunk.type !== "start" || chunk.messageId !== undefined) return chunk;
  const last = messages.at(-1);
  return { ...chunk, messageId: last?.role === "assistant" ? last.id : streamId };
}

function nothing(): Response {
  return new Response(null, { status: 204 });
}
