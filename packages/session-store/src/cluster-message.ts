import { ByteReader, ByteWriter, CoreError } from "@tidemark/core";
import { canonicalJson, type JsonValue } from "./canonical-json.ts";
import type { ClusterHead } from "./cluster-register.ts";
import type { SessionMeta } from "./session-meta.ts";
import type { WorkContent } from "./work-draft.ts";

const VERSION = 1;
const KIND = { turn: 1, decided: 2, work: 3, cancelled: 4, created: 5 } as const;

/** A turn that some worker wants to commit: it is one once the cluster's register, or a turn behind it, names it. */
export interface TurnMessage {
  readonly kind: "turn";
  /** What it follows. */
  readonly from: ClusterHead;
  /** Ids of the work that it answers. */
  readonly settled: readonly string[];
  /** `encodeTurnRecord` of it. */
  readonly record: Uint8Array;
}

/** What the workers of a session tell the regions. */
export type ClusterMessage =
  | TurnMessage
  /** This turn, and all that it follows, are committed. */
  | { readonly kind: "decided"; readonly head: ClusterHead }
  | { readonly kind: "work"; readonly content: WorkContent }
  | { readonly kind: "cancelled"; readonly ids: readonly string[] }
  | { readonly kind: "created"; readonly meta: SessionMeta };

/**
 * Writes a message: u8 version 1, u8 kind, then by kind, texts and bytes behind a varint length, numbers as varints:
 *
 * | kind | what        | fields                                                                 |
 * | ---: | :---------- | :--------------------------------------------------------------------- |
 * |    1 | `turn`      | revision and digest it follows, count and ids of settled work, record |
 * |    2 | `decided`   | revision, digest                                                       |
 * |    3 | `work`      | bytes of its items, the batch as canonical JSON                        |
 * |    4 | `cancelled` | count and ids                                                          |
 * |    5 | `created`   | session meta as canonical JSON                                         |
 */
export function encodeClusterMessage(message: ClusterMessage): Uint8Array {
  const out = new ByteWriter();
  out.u8(VERSION);
  out.u8(KIND[message.kind]);
  switch (message.kind) {
    case "turn":
      writeHead(out, message.from);
      writeTexts(out, message.settled);
      out.prefixed(message.record);
      break;
    case "decided":
      writeHead(out, message.head);
      break;
    case "work":
      out.varint(message.content.bytes);
      out.text(canonicalJson(message.content.batch as unknown as JsonValue));
      break;
    case "cancelled":
      writeTexts(out, message.ids);
      break;
    case "created":
      out.text(canonicalJson(message.meta as unknown as JsonValue));
  }
  return out.take();
}

/** The exact inverse. @throws CoreError `DECODE_FAILED` for anything else. */
export function decodeClusterMessage(bytes: Uint8Array): ClusterMessage {
  const input = new ByteReader(bytes);
  if (input.u8() !== VERSION) input.fail("Cannot read another version of a message", 0);
  const message = readBody(input, input.u8());
  input.finish();
  return message;
}

/** As {@link decodeClusterMessage}; `undefined` for what is no message. */
export function readClusterMessage(bytes: Uint8Array): ClusterMessage | undefined {
  try {
    return decodeClusterMessage(bytes);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

function readBody(input: ByteReader, kind: number): ClusterMessage {
  switch (kind) {
    case KIND.turn:
      return {
        kind: "turn",
        from: readHead(input),
        settled: readTexts(input),
        record: input.prefixed().slice(),
      };
    case KIND.decided:
      return { kind: "decided", head: readHead(input) };
    case KIND.work: {
      const size = input.varint();
      return { kind: "work", content: { bytes: size, batch: readJson(input) as WorkContent["batch"] } };
    }
    case KIND.cancelled:
      return { kind: "cancelled", ids: readTexts(input) };
    case KIND.created:
      return { kind: "created", meta: readJson(input) as SessionMeta };
    default:
      return input.fail(`Cannot read a message of kind ${kind}`, 1);
  }
}

function writeHead(out: ByteWriter, { revision, digest }: ClusterHead): void {
  out.varint(revision);
  out.text(digest);
}

function readHead(input: ByteReader): ClusterHead {
  return { revision: input.varint(), digest: input.text() };
}

function writeTexts(out: ByteWriter, texts: readonly string[]): void {
  out.varint(texts.length);
  for (const text of texts) out.text(text);
}

function readTexts(input: ByteReader): string[] {
  const texts: string[] = [];
  for (let left = input.count(1); left > 0; left--) texts.push(input.text());
  return texts;
}

function readJson(input: ByteReader): unknown {
  const at = input.offset;
  try {
    return JSON.parse(input.text());
  } catch (error) {
    if (error instanceof SyntaxError) return input.fail("Cannot read what is no JSON", at);
    throw error;
  }
}
