import {
  decodeLivePayload,
  type LiveBufferPlace,
  LiveCursor,
  LiveError,
  type LiveEvent,
} from "@tidemark/live";
import { decodeRange, textOfReply, type Entry } from "@tidemark/redis-connection";

/** What a server knows of the buffer of a session. */
export interface BufferState extends LiveBufferPlace {
  /** The first part of the ids of its events. */
  readonly birth: number;
  readonly clock: number;
  readonly events: readonly LiveEvent[];
  /** Whether there are more behind these. */
  readonly more: boolean;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** `undefined` if there is no buffer. */
export function stateOf(session: string, reply: unknown): BufferState | undefined {
  if (!Array.isArray(reply)) throw malformedReply();
  const incarnation = textOfReply(reply[0]);
  if (incarnation === "") return undefined;
  const [, birth, tail, first, clock, revision, committed, entries, more] = reply as unknown[];
  return {
    incarnation,
    birth: Number(birth),
    tail: Number(tail),
    first: Number(first),
    clock: Number(clock),
    revision: textOfReply(revision) === "" ? undefined : Number(textOfReply(revision)),
    committed: textOfReply(committed) === "" ? undefined : textOfReply(committed),
    events: decodeRange(entries).map((entry) => eventOf(session, entry)),
    more: Number(more) === 1,
  };
}

/** Where appended events are, and the clock of their buffer. */
export function placeOf(reply: unknown): {
  readonly incarnation: string;
  readonly position: number;
  readonly clock: number;
} {
  if (!Array.isArray(reply)) throw malformedReply();
  return { incarnation: textOfReply(reply[0]), position: Number(reply[1]), clock: Number(reply[2]) };
}

/** @throws `LiveError` `MALFORMED` for an entry that no script of ours made. */
export function eventOf(session: string, { id, fields }: Entry): LiveEvent {
  const [incarnation, revision, payload, committed] = ["i", "v", "p", "m"].map((name) => {
    const value = fields.get(name);
    if (value === undefined) throw malformedReply();
    return utf8.decode(value);
  }) as [string, string, string, string];
  const position = { session, incarnation, revision: Number(revision), position: id.minor };
  const cursor = LiveCursor.of(committed === "" ? position : { ...position, committed });
  return { session, revision: cursor.revision, cursor, payload: decodeLivePayload(payload) };
}

function malformedReply(): LiveError {
  const reason = "the server answers what our script does not";
  return new LiveError("MALFORMED", `Cannot read the events of a session: ${reason}`, { reason });
}
