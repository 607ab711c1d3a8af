import { guardSafe } from "@tidemark/core";
import { guardDefinitionId, isDefinitionId } from "./definition-id.ts";

/** The file of a zone that holds the snapshot: the full state a screen is restored from. */
export const STATE_FILE = "output.state.json";
/** The file of a zone that holds the log: a JSON value a line. */
export const OUTPUT_FILE = "output";
/** The file of a zone that says which revision and offset its snapshot has. Foreign zones have none. */
export const META_FILE = "zone.json";

/** What a name of a zone says. */
export interface ZoneName {
  readonly definition: string;
  /** Unix milliseconds; absent for the current zone. */
  readonly archivedAtMs?: number;
}

const NAME = /^agent:([^:]*):(?:current|archive:(0|[1-9][0-9]{0,15}))$/;

/**
 * The name of an agent's current zone.
 *
 * @throws {@link ZonesError} `INVALID_DEFINITION_ID`.
 *
 * @example
 * ```ts
 * assert.equal(currentZoneName("scout"), "agent:scout:current");
 * ```
 */
export function currentZoneName(definition: string): string {
  return `agent:${guardDefinitionId(definition)}:current`;
}

/**
 * The name of an archive.
 *
 * @param archivedAtMs - Unix milliseconds.
 * @throws {@link ZonesError} `INVALID_DEFINITION_ID`; `RangeError` for what is no time.
 */
export function archiveZoneName(definition: string, archivedAtMs: number): string {
  return `agent:${guardDefinitionId(definition)}:archive:${guardSafe(archivedAtMs, "archivedAtMs")}`;
}

/** What a name says, or `undefined` for any other text: it never guesses. */
export function parseZoneName(name: string): ZoneName | undefined {
  const [, definition, archived] = NAME.exec(name) ?? [];
  if (!isDefinitionId(definition)) return undefined;
  if (archived === undefined) return { definition };
  const archivedAtMs = Number(archived);
  return Number.isSafeInteger(archivedAtMs) ? { definition, archivedAtMs } : undefined;
}
