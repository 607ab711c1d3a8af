import type { Hlc } from "@tidemark/core";

/** What was appended to a journal, as it is applied in a region. */
export interface StreamJournalEntry {
  readonly bytes: Uint8Array;
  /** When it was written; of two entries the order is the same in every region. */
  readonly stamp: Hlc;
  /** Names the entry in every region. */
  readonly effectId: string;
}

/**
 * What carries the entries of streams to the other regions, once each: `regionJournal` of `@tidemark/session-store` over
 * a region, or {@link MemoryJournals} in one process.
 *
 * Entries of one region arrive everywhere in the order they were appended in; those of several regions in any.
 */
export interface StreamJournal {
  /** How many bytes an entry may have. */
  readonly entryBytesMax: number;
  /** Resolves once the entry is durable here and read here. However often an `operationId` is given, it is one entry. */
  append(session: string, namespace: string, bytes: Uint8Array, operationId: string): Promise<void>;
  /** The latest 1,000 entries of a namespace that are applied here, without those whose effect ids `known` says yes to. */
  read(
    session: string,
    namespace: string,
    known: (effectId: string) => boolean,
  ): readonly StreamJournalEntry[];
  /** Gives the id of each session of which something was applied since it was last given; ends with the signal. */
  changes(signal: AbortSignal): AsyncIterable<string>;
}
