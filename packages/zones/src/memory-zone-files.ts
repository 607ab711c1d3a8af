import { ZonesError } from "./errors.ts";
import type { ZoneFile, ZoneFiles } from "./zone-files.ts";

/** Zones as files in memory: for tests, and where what is exported goes elsewhere. */
export class MemoryZoneFiles implements ZoneFiles {
  readonly #zones: Map<string, Map<string, ZoneFile>> = new Map();

  async zones(): Promise<readonly string[]> {
    return [...this.#zones.keys()].toSorted();
  }

  async files(zone: string): Promise<readonly string[]> {
    return [...(this.#zones.get(zone)?.keys() ?? [])].toSorted();
  }

  async read(
    zone: string,
    file: string,
    { bytesMax = Number.POSITIVE_INFINITY }: { readonly bytesMax?: number } = {},
  ): Promise<ZoneFile | undefined> {
    const found = this.#zones.get(zone)?.get(file);
    if (found === undefined) return undefined;
    guardFileBytes(zone, file, found.bytes.length, bytesMax);
    return { ...found, bytes: found.bytes.slice() };
  }

  async write(zone: string, file: string, { bytes, modifiedMs }: ZoneFile): Promise<void> {
    const files = this.#zones.get(zone) ?? new Map<string, ZoneFile>();
    files.set(file, { bytes: bytes.slice(), modifiedMs });
    this.#zones.set(zone, files);
  }

  async remove(zone: string): Promise<void> {
    this.#zones.delete(zone);
  }
}

/** @throws {@link ZonesError} `ZONE_TOO_LARGE` */
export function guardFileBytes(zone: string, file: string, actual: number, limit: number): void {
  if (actual <= limit) return;
  throw new ZonesError(
    "ZONE_TOO_LARGE",
    `Cannot read ${file} of ${zone}: it has ${actual} bytes, and the limit is ${limit}`,
    { limit, actual },
  );
}
