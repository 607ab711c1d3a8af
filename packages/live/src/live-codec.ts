import { LiveError, malformed } from "./errors.ts";
import { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent, LiveGap, LiveGapReason, LivePayload, TurnState } from "./live-event.ts";

/** Bytes of the largest encoded payload, as UTF-8, unless another limit is given. */
export const LIVE_PAYLOAD_BYTES_MAX: number = 1024 * 1024;

/** Options of {@link encodeLiveEvent} and {@link encodeLivePayload}. */
export interface EncodeLiveOptions {
  /** Of the payload, as UTF-8. @defaultValue 1 MiB */
  readonly bytesMax?: number;
}

type Fields = Readonly<Record<string, unknown>>;

const TURN_STATES: ReadonlySet<unknown> = new Set<TurnState>([
  "pending",
  "streaming",
  "done",
  "error",
  "cancelled",
  "orphaned",
]);
const GAP_REASONS: ReadonlySet<unknown> = new Set<LiveGapReason>(["trimmed", "unavailable", "lagged"]);

/** What each kind of payload must and may have, and whether a value is one. */
const KINDS: Readonly<Record<LivePayload["kind"], Readonly<Record<string, (value: unknown) => boolean>>>> = {
  turn_activity: { "turn?": isText, activity: isThere },
  turn_state: {
    turn: isText,
    state: (value) => TURN_STATES.has(value),
    "message?": isText,
    "ttlMs?": isCount,
  },
  committed: { view: isThere },
  agent_frame_switched: { frame: isText },
  queue_changed: { change: (value) => value === "enqueued" || value === "cancelled", batches: areTexts },
  process_changed: { change: (value) => value === "started" || value === "cancelled", processes: areTexts },
};

const utf8 = new TextEncoder();

/**
 * A payload as JSON text.
 *
 * @throws {@link LiveError} `EVENT_TOO_LARGE`; `TypeError` for what is no JSON value.
 */
export function encodeLivePayload(payload: LivePayload, options: EncodeLiveOptions = {}): string {
  const { bytesMax = LIVE_PAYLOAD_BYTES_MAX } = options;
  const text = JSON.stringify(payload);
  const wrong = problemOfPayload(payload);
  if (wrong !== undefined) throw new TypeError(`Cannot encode a payload: ${wrong}`);
  // One character is one to three bytes.
  const bytes = text.length * 3 <= bytesMax ? text.length : utf8.encode(text).length;
  if (bytes > bytesMax) {
    throw new LiveError(
      "EVENT_TOO_LARGE",
      `Cannot take an event of ${bytes} bytes: the limit is ${bytesMax}`,
      {
        limit: bytesMax,
        actual: bytes,
      },
    );
  }
  return text;
}

/**
 * The inverse of {@link encodeLivePayload}.
 *
 * @throws {@link LiveError} `MALFORMED`: also for a kind or a field that is not known here.
 */
export function decodeLivePayload(text: string): LivePayload {
  const payload = recordOf(parse(text, "a payload"), "a payload");
  const wrong = problemOfPayload(payload);
  if (wrong !== undefined) throw malformed("a payload", wrong);
  return payload as LivePayload;
}

/**
 * An event as JSON text: `session`, `revision`, `cursor` (its token) and `payload`.
 *
 * @throws {@link LiveError} `EVENT_TOO_LARGE`; `TypeError` for what is no JSON value.
 */
export function encodeLiveEvent(event: LiveEvent, options: EncodeLiveOptions = {}): string {
  const { session, revision, cursor, payload } = event;
  const text = encodeLivePayload(payload, options);
  return `{"session":${JSON.stringify(session)},"revision":${revision},"cursor":"${cursor.toString()}","payload":${text}}`;
}

/**
 * The inverse of {@link encodeLiveEvent}.
 *
 * @param expectedSession - The session it should be of. @defaultValue any
 * @throws {@link LiveError} `MALFORMED`, `WRONG_SESSION`.
 */
export function decodeLiveEvent(text: string, expectedSession?: string): LiveEvent {
  const fields = recordOf(parse(text, "an event"), "an event");
  const { session, revision, cursor: token, payload, ...rest } = fields;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw malformed("an event", `its field ${unknown} is not known`);
  const cursor = LiveCursor.parse(token as string, expectedSession);
  if (cursor.session !== session) throw malformed("an event", "its session is not that of its cursor");
  if (!isCount(revision)) throw malformed("an event", "its revision is no revision");
  const content = recordOf(payload, "an event");
  const wrong = problemOfPayload(content);
  if (wrong !== undefined) throw malformed("an event", wrong);
  return { session, revision, cursor, payload: content as LivePayload };
}

/** A gap as JSON text, its cursors as tokens. */
export function encodeLiveGap(gap: LiveGap): string {
  return JSON.stringify(gap);
}

/** The inverse of {@link encodeLiveGap}. @throws {@link LiveError} `MALFORMED`, `WRONG_SESSION`. */
export function decodeLiveGap(text: string, expectedSession?: string): LiveGap {
  const fields = recordOf(parse(text, "a gap"), "a gap");
  const { session, requested, latest, latestRevision, reason, missed, ...rest } = fields;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw malformed("a gap", `its field ${unknown} is not known`);
  const [from, to] = [requested, latest].map((token) => LiveCursor.parse(token as string, expectedSession));
  if (from!.session !== session || to!.session !== session) {
    throw malformed("a gap", "its session is not that of its cursors");
  }
  if (!isCount(latestRevision)) throw malformed("a gap", "its latestRevision is no revision");
  if (!GAP_REASONS.has(reason)) throw malformed("a gap", "its reason is not known");
  if (missed !== undefined && !isCount(missed)) throw malformed("a gap", "its missed is no count");
  const gap = { session, requested: from!, latest: to!, latestRevision, reason: reason as LiveGapReason };
  return missed === undefined ? gap : { ...gap, missed };
}

function problemOfPayload(payload: Fields): string | undefined {
  const { kind, ...fields } = payload;
  const known = Object.hasOwn(KINDS, String(kind)) ? KINDS[kind as LivePayload["kind"]] : undefined;
  if (known === undefined) return `its kind is not known: ${JSON.stringify(kind)}`;
  for (const name of Object.keys(fields)) {
    if (!(name in known) && !(`${name}?` in known)) return `its field ${name} is not known`;
  }
  for (const [name, holds] of Object.entries(known)) {
    const optional = name.endsWith("?");
    const value = fields[optional ? name.slice(0, -1) : name];
    if (optional && value === undefined) continue;
    if (!holds(value)) return `its field ${name} is missing or invalid`;
  }
  return undefined;
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(what, "it is no JSON text");
  }
}

function recordOf(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed(what, "it is no object");
  }
  return value as Fields;
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

/** A JSON value, as far as one look tells. */
function isThere(value: unknown): boolean {
  return value !== undefined && typeof value !== "function" && typeof value !== "symbol";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
