import { type JsonValue, SessionStoreError } from "@tidemark/session-store";
import type { ZoneContent } from "./read-content.ts";

/** A snapshot as it is read. */
export interface SessionState {
  readonly text: string;
  /** When it was written, Unix ms. */
  readonly modifiedMs: number;
  /** Of the session's head it shows. */
  readonly revision: number;
  /** Up to where it covers the log; absent in one that came from a file without that. */
  readonly logOffset?: number;
  /** The session it is of. */
  readonly session?: string;
}

/** One value of the log. */
export interface OutputEntry {
  /** Where its line begins. */
  readonly offset: number;
  readonly value: JsonValue;
}

/** What a screen is rebuilt from after a crash: the snapshot, then the values that it does not show yet. */
export interface Recovered {
  readonly state?: SessionState;
  /** In order. None if the snapshot came from a file that does not say what it covers: nothing is shown twice. */
  readonly entries: readonly OutputEntry[];
  /** Where the log ends. */
  readonly end: number;
  /** A last line that lacks its end, since whoever wrote the file crashed. It is left out of `entries`. */
  readonly torn?: { readonly offset: number; readonly bytes: number };
  /** Where values are missing that have not arrived from another region. What follows is left out. */
  readonly gapAt?: number;
}

/**
 * The snapshot of a conversation; `undefined` if there is none.
 *
 * @throws SessionStoreError `DATA_CORRUPT` for bytes that are not UTF-8.
 */
export function sessionStateOf({ head, state }: ZoneContent): SessionState | undefined {
  if (state === undefined || head.state === undefined) return undefined;
  const { logOffset, atMs } = head.state;
  const { revision, session } = head;
  return {
    text: textOf(state, "the snapshot"),
    modifiedMs: atMs,
    revision,
    ...(logOffset === undefined ? {} : { logOffset }),
    ...(session === undefined ? {} : { session }),
  };
}

/**
 * What is rebuilt from a conversation.
 *
 * @throws SessionStoreError `DATA_CORRUPT` for a whole line that is not JSON, and bytes that are not UTF-8.
 */
export function recoveredOf(content: ZoneContent): Recovered {
  const { head, log, gapAt } = content;
  const { floor, end, torn } = head.log;
  const state = sessionStateOf(content);
  // An empty snapshot shows nothing.
  const shown = state === undefined || state.text === "" ? floor : state.logOffset;
  return {
    ...(state === undefined ? {} : { state }),
    entries: shown === undefined ? [] : entriesOf(log, floor).filter(({ offset }) => offset >= shown),
    end,
    ...(torn === 0 ? {} : { torn: { offset: end, bytes: torn } }),
    ...(gapAt === undefined ? {} : { gapAt }),
  };
}

/** Splits a log where its last whole line ends: what follows was torn by a crash. */
export function splitTorn(bytes: Uint8Array): { readonly log: Uint8Array; readonly torn: Uint8Array } {
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  return { log: bytes.subarray(0, end), torn: bytes.subarray(end) };
}

const NEWLINE = 0x0a;

function entriesOf(log: Uint8Array, floor: number): OutputEntry[] {
  const entries: OutputEntry[] = [];
  for (let from = 0; from < log.length;) {
    const newline = log.indexOf(NEWLINE, from);
    // A region that lacks what follows may end in the middle of a line.
    if (newline === -1) break;
    const line = textOf(log.subarray(from, newline), `the line of the log at ${floor + from}`);
    if (line.trim() !== "") entries.push({ offset: floor + from, value: valueOf(line, floor + from) });
    from = newline + 1;
  }
  return entries;
}

function valueOf(line: string, offset: number): JsonValue {
  try {
    return JSON.parse(line) as JsonValue;
  } catch (cause) {
    throw new SessionStoreError("DATA_CORRUPT", `The line of the log at ${offset} is not JSON`, { cause });
  }
}

function textOf(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SessionStoreError("DATA_CORRUPT", `Cannot read ${what}: it is not UTF-8`, { cause });
  }
}
