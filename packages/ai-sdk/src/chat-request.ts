import type { UIMessage } from "ai";
import { ChatError } from "./errors.ts";

/** What a chat sends. */
export interface ChatRequest<Message extends UIMessage = UIMessage> {
  readonly chatId: string;
  readonly messages: Message[];
  readonly trigger: "submit-message" | "regenerate-message";
  readonly messageId: string | undefined;
  /** The same when a request is sent again: then there is one answer. */
  readonly requestId: string | undefined;
  /** The whole body, with whatever else the page sent. */
  readonly body: Readonly<Record<string, unknown>>;
}

const ID = /^[A-Za-z0-9_-]{1,64}$/;
const CHAT_ID_BYTES_MAX = 128;

/** Reads what a chat sends. @throws {@link ChatError} `CHAT_REQUEST_INVALID`, `CHAT_BODY_TOO_LARGE`. */
export async function readChatRequest<Message extends UIMessage>(
  request: Request,
  bodyBytesMax: number,
): Promise<ChatRequest<Message>> {
  const body = parsed(await readText(request, bodyBytesMax));
  const { id, messages, trigger = "submit-message", messageId, requestId } = body;
  const chatId = checkChatId(id);
  if (!Array.isArray(messages) || !messages.every(isMessage))
    throw invalid("messages must be a list of messages with id, role and parts");
  if (trigger !== "submit-message" && trigger !== "regenerate-message")
    throw invalid('trigger must be "submit-message" or "regenerate-message"');
  if (messageId !== undefined && messageId !== null && typeof messageId !== "string")
    throw invalid("messageId must be a string");
  if (requestId !== undefined && (typeof requestId !== "string" || !ID.test(requestId)))
    throw invalid("requestId must have 1 to 64 of A-Z, a-z, 0-9, _ and -");
  return {
    chatId,
    messages: messages as Message[],
    trigger,
    messageId: messageId ?? undefined,
    requestId,
    body,
  };
}

/** Returns the id of a chat. @throws {@link ChatError} `CHAT_REQUEST_INVALID` for what is none. */
export function checkChatId(id: unknown): string {
  if (typeof id !== "string" || id === "" || !/^\P{Surrogate}+$/u.test(id))
    throw invalid("the id of a chat must be a text");
  if (new TextEncoder().encode(id).length > CHAT_ID_BYTES_MAX)
    throw invalid(`the id of a chat has at most ${CHAT_ID_BYTES_MAX} bytes`);
  return id;
}

function isMessage(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, role, parts } = value as Record<string, unknown>;
  return typeof id === "string" && typeof role === "string" && Array.isArray(parts);
}

function parsed(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("the body is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("the body is no JSON object");
  return value as Record<string, unknown>;
}

/** Reads no more than it may, whatever the length in the headers says. */
async function readText(request: Request, bytesMax: number): Promise<string> {
  const tooLarge = (): ChatError =>
    new ChatError("CHAT_BODY_TOO_LARGE", `A request has at most ${bytesMax} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const result = await reader?.read();
    if (result === undefined || result.done) return text + decoder.decode();
    bytes += result.value.length;
    if (bytes > bytesMax) {
      await reader?.cancel();
      throw tooLarge();
    }
    text += decoder.decode(result.value, { stream: true });
  }
}

function invalid(why: string): ChatError {
  return new ChatError("CHAT_REQUEST_INVALID", `Cannot read the request: ${why}`);
}
