import type { Hlc } from "@tidemark/core";

/** What was appended to a journal, as it is applied in a region. */
export interface JournalEntry {
  /** A copy, the reader's own. */
  readonly bytes: Uint8Array;
  /** When it was written; of two entries the order is the same in every region. */
  readonly stamp: Hlc;
  /** Names the entry in every region. */
  readonly effectId: string;
}

/**
 * What carries bytes of a session to the other regions, once each: a region, see {@link regionJournal}.
 *
 * Entries of one region arrive everywhere in the order they were appended in; those of several regions in any.
 */
export interface SessionJournal {
  /** How many bytes an entry may have. */
  readonly entryBytesMax: number;
  /** The name of the region this is in: what is appended here is this region's. */
  readonly region: string;
  /**
   * Appends bytes under a namespace of a session. Resolves once they are durable in this region and read here.
   *
   * @param operationId - However often it is given, and wherever, it is one entry. 1 to 128 UTF-8 bytes.
   */
  append(session: string, namespace: string, bytes: Uint8Array, operationId: string): Promise<void>;
  /**
   * The latest 1,000 entries of a namespace that are applied here, in the order of their stamps, without those whose
   * effect ids `known` says yes to. Empty for a session nothing is known of.
   */
  read(session: string, namespace: string, known: (effectId: string) => boolean): readonly JournalEntry[];
  /** Gives the id of each session of which something was applied since it was last given; ends with the signal. */
  changes(signal: AbortSignal): AsyncIterable<string>;
}
