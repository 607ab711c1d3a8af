/** The id of a stream's entry, `<major>-<minor>`: two numbers of ours, or the server's milliseconds and a count. */
export interface EntryId {
  readonly major: number;
  readonly minor: number;
}

/** Below every entry. */
export const ZERO_ID: EntryId = { major: 0, minor: 0 };

const ENTRY_ID = /^(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})$/;

/** `undefined` for anything that is no id in its shortest form, or too large to count with. */
export function parseEntryId(text: string): EntryId | undefined {
  const [, major, minor] = ENTRY_ID.exec(text) ?? [];
  if (major === undefined || minor === undefined) return undefined;
  const id = { major: Number(major), minor: Number(minor) };
  return Number.isSafeInteger(id.major) && Number.isSafeInteger(id.minor) ? id : undefined;
}

export function formatEntryId({ major, minor }: EntryId): string {
  return `${major}-${minor}`;
}

/** Below 0, 0 or above 0, as for `sort`. */
export function compareEntryIds(left: EntryId, right: EntryId): number {
  return left.major - right.major || left.minor - right.minor;
}

/** The next higher id. */
export function afterEntryId({ major, minor }: EntryId): EntryId {
  return minor < Number.MAX_SAFE_INTEGER ? { major, minor: minor + 1 } : { major: major + 1, minor: 0 };
}
