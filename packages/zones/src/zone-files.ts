/** A file of a zone as it is read. */
export interface ZoneFile {
  /** A copy, the reader's own. */
  readonly bytes: Uint8Array;
  /** Unix ms. */
  readonly modifiedMs: number;
}

/**
 * Zones as folders of files: what other programs keep them as, and what they are exported to. Names of zones are any text;
 * names that differ are different zones, whatever the file system takes for the same.
 *
 * {@link MemoryZoneFiles} is the reference, `nodeZoneFiles` of `@tidemark/zones/node` the one on a disk.
 */
export interface ZoneFiles {
  /** The names of zones that have files, in order. */
  zones(): Promise<readonly string[]>;
  /** The names of a zone's files, in order; none for a zone that is not there. */
  files(zone: string): Promise<readonly string[]>;
  /**
   * A file, or nothing.
   *
   * @throws ZonesError `ZONE_TOO_LARGE` above `bytesMax`, before it is read.
   */
  read(zone: string, file: string, options?: { readonly bytesMax?: number }): Promise<ZoneFile | undefined>;
  /** Makes a file or replaces it: whole or not at all, also across a crash; durable once it resolves. */
  write(zone: string, file: string, content: ZoneFile): Promise<void>;
  /** Removes a zone with all its files. What is not there is removed. */
  remove(zone: string): Promise<void>;
}
