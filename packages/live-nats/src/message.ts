import { headers, type MsgHdrs } from "@nats-io/nats-core";
import { decodeLivePayload, type LiveDraft, LiveCursor, LiveError, type LiveEvent } from "@tidemark/live";

const INCARNATION = "Tidemark-Incarnation";
const POSITION = "Tidemark-Position";
const CLOCK = "Tidemark-Clock";
const EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence";
/** What a message may need above its events. */
export const HEADERS_BYTES_MAX: number = 8_192;

/** What stands at the head of a message. */
export interface MessageHead {
  readonly incarnation: string;
  /** The number of its first event; that of the next one if it has none. */
  readonly position: number;
  /** Of the buffer, in milliseconds. */
  readonly clock: number;
}

/** A message of a session: some of its events, in order, or none: a record of where the session begins. */
export interface LiveMessage extends MessageHead {
  /** Of the stream. */
  readonly sequence: number;
  readonly events: readonly LiveEvent[];
}

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Headers of a message that is stored only if the last of its subject has this sequence, 0 for none. */
export function headersOf({ incarnation, position, clock }: MessageHead, lastSequence: number): MsgHdrs {
  const made = headers();
  made.set(INCARNATION, incarnation);
  made.set(POSITION, `${position}`);
  made.set(CLOCK, `${clock}`);
  made.set(EXPECTED_LAST, `${lastSequence}`);
  return made;
}

/** Two lines an event: revision and session cursor, and the payload. */
export function bodyOf(drafts: readonly LiveDraft[]): Uint8Array {
  const lines = drafts.flatMap(({ revision, committed, text: payload }) => [
    JSON.stringify(committed === undefined ? [revision] : [revision, committed]),
    payload,
  ]);
  return utf8.encode(lines.join("\n"));
}

/** @throws `LiveError` `MALFORMED` for a message that no store of ours wrote. */
export function messageOf(
  session: string,
  sequence: number,
  head: MsgHdrs | undefined,
  body: Uint8Array,
): LiveMessage {
  const [incarnation, position, clock] = [INCARNATION, POSITION, CLOCK].map((name) => head?.get(name) ?? "");
  const numbers = [position, clock].map((each) =>
    /^\d{1,16}$/.test(each ?? "") ? Number(each) : Number.NaN,
  );
  const lines = body.length === 0 ? [] : decoded(body).split("\n");
  if (numbers.some((each) => !Number.isSafeInteger(each)) || lines.length % 2 !== 0) throw malformed();
  const [first, clockMs] = numbers as [number, number];
  const events: LiveEvent[] = [];
  for (let at = 0; at < lines.length; at += 2) {
    const [revision, committed] = factsOf(lines[at]!);
    const place = { session, incarnation: incarnation!, revision, position: first + events.length };
    const cursor = cursorOf(committed === undefined ? place : { ...place, committed });
    events.push({ session, revision, cursor, payload: decodeLivePayload(lines[at + 1]!) });
  }
  return { incarnation: incarnation!, position: first, clock: clockMs, sequence, events };
}

function decoded(body: Uint8Array): string {
  try {
    return text.decode(body);
  } catch {
    throw malformed();
  }
}

function factsOf(line: string): [revision: number, committed: string | undefined] {
  let facts: unknown;
  try {
    facts = JSON.parse(line);
  } catch {
    throw malformed();
  }
  if (!Array.isArray(facts)) throw malformed();
  return facts as [number, string | undefined];
}

function cursorOf(fields: Parameters<typeof LiveCursor.of>[0]): LiveCursor {
  try {
    return LiveCursor.of(fields);
  } catch {
    throw malformed();
  }
}

function malformed(): LiveError {
  const reason = "a message is not what a store writes";
  return new LiveError("MALFORMED", `Cannot read the events of a session: ${reason}`, { reason });
}
