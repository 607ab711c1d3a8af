import { textOfReply } from "./bytes.ts";
import { parseEntryId, type EntryId } from "./entry-id.ts";

/** One entry of a stream. */
export interface Entry {
  readonly id: EntryId;
  /** Field names to values, as they came: views into what the client read. */
  readonly fields: ReadonlyMap<string, Uint8Array>;
}

/**
 * Reads the reply of XREAD: entries by key, none for `null`. RESP2 nests pairs; RESP3 has a map, which clients show as
 * a `Map`, an object, or a flat array.
 */
export function decodeRead(reply: unknown): Map<string, Entry[]> {
  const streams = new Map<string, Entry[]>();
  const add = (key: unknown, entries: unknown): void =>
    void streams.set(textOfReply(key), decodeRange(entries));
  if (reply instanceof Map) {
    for (const [key, entries] of reply) add(key, entries);
  } else if (Array.isArray(reply)) {
    if (Array.isArray(reply[0])) {
      for (const pair of reply as unknown[]) if (Array.isArray(pair)) add(pair[0], pair[1]);
    } else for (let at = 0; at + 1 < reply.length; at += 2) add(reply[at], reply[at + 1]);
  } else if (typeof reply === "object" && reply !== null) {
    for (const [key, entries] of Object.entries(reply)) add(key, entries);
  }
  return streams;
}

/** Reads the reply of XRANGE and XREVRANGE. What is no entry of ours is left out. */
export function decodeRange(reply: unknown): Entry[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return [];
    const id = parseEntryId(textOfReply(entry[0]));
    return id === undefined ? [] : [{ id, fields: decodeFields(entry[1]) }];
  });
}

function decodeFields(reply: unknown): Map<string, Uint8Array> {
  const fields = new Map<string, Uint8Array>();
  const add = (name: unknown, value: unknown): void => {
    if (value instanceof Uint8Array) fields.set(textOfReply(name), value);
  };
  if (Array.isArray(reply)) for (let at = 0; at + 1 < reply.length; at += 2) add(reply[at], reply[at + 1]);
  return fields;
}
