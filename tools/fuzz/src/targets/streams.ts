import { formatStreamOffset, parseStreamOffset } from "@tidemark/live";
import {
  decodeStreamEntry,
  encodeStreamEntry,
  type StreamEntry,
} from "../../../../packages/live/src/stream-log-entry.ts";
import { readChatRequest } from "../../../../packages/ai-sdk/src/chat-request.ts";
import { TidemarkError } from "@tidemark/core";
import { bytesOf, decoderTarget, type FuzzTarget } from "../target.ts";
import { textTarget } from "../text-target.ts";

const WRITER = "0123456789abcdef";
const ENTRIES: readonly StreamEntry[] = [
  { kind: "open", stream: "answer-1", writer: WRITER, ttlMs: 15_000 },
  { kind: "piece", number: 7, start: 300, text: "the tide \u{1F30A}" },
  { kind: "renewed" },
  {
    kind: "end",
    stream: "answer-1",
    writer: WRITER,
    outcome: "error",
    pieces: 8,
    length: 311,
    message: "no",
  },
  { kind: "cancel", stream: "answer-1" },
];
const CHAT_BYTES_MAX = 1_024;

/** What the journal of a stream gives back, what a page says that it has read, and what it sends to a chat. */
export const STREAMS: readonly FuzzTarget[] = [
  decoderTarget({
    name: "stream-log-entry",
    seeds: () => ENTRIES.map(encodeStreamEntry),
    decode: decodeStreamEntry,
    encode: encodeStreamEntry,
    grow: (bytes) => encodeStreamEntry({ kind: "piece", number: 0, start: 0, text: "x".repeat(bytes) }),
  }),
  textTarget({
    name: "stream-log-offset",
    seeds: [
      `tms1:12:${WRITER}:answer-1`,
      `tms1:0:${WRITER}:%F0%9F%8C%8A`,
      "tms1:9007199254740991:a:chat%3A1",
    ],
    parse: (text) => refused(() => parseStreamOffset(text)),
    format: formatStreamOffset,
  }),
  {
    name: "chat-request",
    seeds: () =>
      [
        '{"id":"trip","messages":[{"id":"1","role":"user","parts":[]}],"trigger":"submit-message","requestId":"r-1"}',
        '{"id":"trip","messages":[],"trigger":"regenerate-message","messageId":"2","model":"m"}',
      ].map(bytesOf),
    run: async (input) => {
      const request = new Request("http://chat.test/api/chat", { method: "POST", body: input.slice() });
      try {
        const { chatId, messages } = await readChatRequest(request, CHAT_BYTES_MAX);
        if (chatId === "" || !Array.isArray(messages)) throw new Error("A request is of no chat");
        if (input.length > CHAT_BYTES_MAX) throw new Error("A request is beyond the limit");
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error;
      }
    },
    heapPerByte: 512,
  },
];

function refused<Value>(parse: () => Value): Value | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof TidemarkError) return undefined;
    throw error;
  }
}
