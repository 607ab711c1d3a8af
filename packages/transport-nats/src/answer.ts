import type { Msg } from "@nats-io/nats-core";
import { nobodyListens } from "./inbox.ts";

/** What the broker answered to a message, or that it did not. */
export type Answer =
  /** Stored there: now, or earlier under the same id. */
  | { readonly seq: number; readonly repeat: boolean }
  | { readonly code: number; readonly description: string }
  /** Not in time: stored or not. */
  | "silent"
  /** No stream listens. */
  | "nobody";

/** Reads an acknowledgement of JetStream. */
export function answerOf(message: Msg): Answer {
  if (nobodyListens(message)) return "nobody";
  const answer = JSON.parse(message.string()) as {
    seq?: number;
    duplicate?: boolean;
    error?: { code: number; err_code?: number; description?: string };
  };
  if (answer.error === undefined) return { seq: answer.seq ?? 0, repeat: answer.duplicate === true };
  const { code, err_code: apiCode, description } = answer.error;
  return { code: apiCode ?? code, description: description ?? `error ${apiCode ?? code}` };
}
