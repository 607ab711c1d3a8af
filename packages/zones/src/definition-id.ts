import { ZonesError } from "./errors.ts";

/** The longest id of an agent definition. */
export const DEFINITION_ID_LENGTH_MAX: number = 128;

const DEFINITION_ID = /^[A-Za-z0-9_-]+$/;

/**
 * Whether a text is the id of an agent definition: 1 to {@link DEFINITION_ID_LENGTH_MAX} ASCII letters, digits, `_` and
 * `-`. The id is part of names, and comes from callers far away: nothing looser is one.
 */
export function isDefinitionId(value: unknown): value is string {
  return typeof value === "string" && value.length <= DEFINITION_ID_LENGTH_MAX && DEFINITION_ID.test(value);
}

/**
 * Returns `value` if it is the id of an agent definition.
 *
 * @throws {@link ZonesError} `INVALID_DEFINITION_ID`, whose message begins with the code.
 */
export function guardDefinitionId(value: string): string {
  if (isDefinitionId(value)) return value;
  throw new ZonesError(
    "INVALID_DEFINITION_ID",
    `INVALID_DEFINITION_ID: ${shown(value)} is not 1 to ${DEFINITION_ID_LENGTH_MAX} ASCII letters, digits, "_" and "-"`,
  );
}

/** What came, short and in ASCII: it may be anything. */
function shown(value: unknown): string {
  if (typeof value !== "string") return `a ${typeof value}`;
  const text = value.length > 40 ? `${value.slice(0, 40)}...` : value;
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
