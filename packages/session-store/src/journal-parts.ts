import { ByteReader, ByteWriter, type Hasher, HASH_CONTEXTS, type Hlc, concatBytes } from "@tidemark/core";
import { hex } from "./hex.ts";
import type { SessionJournal } from "./session-journal.ts";

/** A message in a journal has at most this many parts, and a reader keeps at most this many of messages that lack some. */
export const MESSAGE_PARTS_MAX = 64;
/** What a reader remembers to have read, twice what a journal gives: what it forgets is given again and is one effect. */
const KNOWN_MAX = 2_000;
const DIGEST_BYTES = 16;
/** Version, digest, index and count. */
const PART_HEADER_BYTES: number = 1 + DIGEST_BYTES + 2 + 2;
const PART_VERSION = 1;

/** A message whose parts have all arrived. */
export interface JournalMessage {
  /** 32 hexadecimal digits: what it says, hashed. Two messages of the same bytes are one. */
  readonly digest: string;
  readonly bytes: Uint8Array;
  /** Of its last part by order. */
  readonly stamp: Hlc;
}

/**
 * Appends a message in as many entries as it needs. Resolves with its digest once all of them are durable here. Safe to
 * repeat: the parts of the same bytes are the same entries.
 *
 * | bytes | type | field     | notes                                   |
 * | ----: | :--- | :-------- | :-------------------------------------- |
 * |     1 | u8   | `version` | 1                                       |
 * |    16 |      | `digest`  | of the whole message, `tidemark 2026 journal-message v1` |
 * |     2 | u16  | `index`   | of the part, from 0                     |
 * |     2 | u16  | `count`   | of parts, 1 to 64                       |
 * |  rest |      | `bytes`   | what follows on the part before         |
 *
 * @throws `RangeError` if it does not fit into {@link MESSAGE_PARTS_MAX} parts.
 */
export async function appendMessage(
  journal: SessionJournal,
  hasher: Hasher,
  place: { readonly session: string; readonly namespace: string },
  bytes: Uint8Array,
): Promise<string> {
  const { session, namespace } = place;
  const digest = hasher.digest(HASH_CONTEXTS.journalMessage, bytes, DIGEST_BYTES);
  const room = journal.entryBytesMax - PART_HEADER_BYTES;
  const count = Math.max(1, Math.ceil(bytes.length / room));
  if (count > MESSAGE_PARTS_MAX)
    throw new RangeError(
      `Cannot append ${bytes.length} bytes to a journal: the limit is ${room * MESSAGE_PARTS_MAX}`,
    );
  const name = hex(digest);
  for (let index = 0; index < count; index++) {
    const writer = new ByteWriter(PART_HEADER_BYTES + Math.min(room, bytes.length));
    writer.u8(PART_VERSION);
    writer.raw(digest);
    writer.u16(index);
    writer.u16(count);
    writer.raw(bytes.subarray(index * room, (index + 1) * room));
    await journal.append(session, namespace, writer.take(), `${name}:${index}`);
  }
  return name;
}

interface Collected {
  readonly parts: (Uint8Array | undefined)[];
  missing: number;
  stamp: Hlc;
}

/**
 * Reads one namespace of one session of a journal, and puts messages together. Remembers what it read, so a message is
 * given once, or again after some 2,000 others. Entries that are no part of a message are passed by and counted.
 */
export class MessageReader {
  readonly #journal: SessionJournal;
  readonly #hasher: Hasher;
  readonly #session: string;
  readonly #namespace: string;
  readonly #known: Set<string> = new Set();
  readonly #given: Set<string> = new Set();
  readonly #collected: Map<string, Collected> = new Map();
  #refused: number = 0;

  constructor(
    journal: SessionJournal,
    hasher: Hasher,
    place: { readonly session: string; readonly namespace: string },
  ) {
    this.#journal = journal;
    this.#hasher = hasher;
    this.#session = place.session;
    this.#namespace = place.namespace;
  }

  /** Entries that were no part of a message, or of one whose parts do not hash to its name. */
  get refused(): number {
    return this.#refused;
  }

  /** Messages that are whole here and were not given yet, in the order of their last parts. */
  read(): JournalMessage[] {
    const messages: JournalMessage[] = [];
    const entries = this.#journal.read(this.#session, this.#namespace, (effectId) =>
      this.#known.has(effectId),
    );
    for (const { bytes, stamp, effectId } of entries) {
      remember(this.#known, effectId);
      const message = this.#take(bytes, stamp);
      if (message !== undefined) messages.push(message);
    }
    return messages;
  }

  #take(entry: Uint8Array, stamp: Hlc): JournalMessage | undefined {
    const part = readPart(entry);
    if (part === undefined) {
      this.#refused += 1;
      return undefined;
    }
    const { digest, index, count, bytes } = part;
    if (this.#given.has(digest)) return undefined;
    let collected = this.#collected.get(digest);
    if (collected === undefined) {
      collected = { parts: Array.from({ length: count }, () => undefined), missing: count, stamp };
      this.#collected.set(digest, collected);
      this.#forgetOldest();
    }
    if (collected.parts.length !== count || collected.parts[index] !== undefined) return undefined;
    collected.parts[index] = bytes;
    collected.missing -= 1;
    collected.stamp = stamp;
    if (collected.missing > 0) return undefined;
    this.#collected.delete(digest);
    const whole = concatBytes(collected.parts as Uint8Array[]);
    if (hex(this.#hasher.digest(HASH_CONTEXTS.journalMessage, whole, DIGEST_BYTES)) !== digest) {
      this.#refused += 1;
      return undefined;
    }
    remember(this.#given, digest);
    return { digest, bytes: whole, stamp };
  }

  /** A writer that died in the middle left parts that nobody completes: they do not pile up. */
  #forgetOldest(): void {
    if (this.#collected.size <= MESSAGE_PARTS_MAX) return;
    const [oldest] = this.#collected.keys();
    if (oldest !== undefined) this.#collected.delete(oldest);
  }
}

function remember(set: Set<string>, id: string): void {
  set.add(id);
  const [oldest] = set;
  if (set.size > KNOWN_MAX && oldest !== undefined) set.delete(oldest);
}

function readPart(
  entry: Uint8Array,
): { digest: string; index: number; count: number; bytes: Uint8Array } | undefined {
  if (entry.length < PART_HEADER_BYTES || entry[0] !== PART_VERSION) return undefined;
  const reader = new ByteReader(entry, 1);
  const digest = hex(reader.view(DIGEST_BYTES));
  const index = reader.u16();
  const count = reader.u16();
  if (count === 0 || count > MESSAGE_PARTS_MAX || index >= count) return undefined;
  return { digest, index, count, bytes: reader.view(reader.remaining) };
}
