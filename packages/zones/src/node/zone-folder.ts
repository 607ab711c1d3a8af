import { parseZoneName } from "../zone-name.ts";

const FOLDER = /^agent\+([0-9a-z_-]+)(?:~([0-9a-f]{1,32}))?\+(current|archive\+\d{1,16})$/;

/**
 * The folder of a zone: lower case, since some file systems take names that differ by case alone for one; which of the
 * letters are upper case stands behind the id, a bit for each, as hexadecimal digits. No character that Windows refuses.
 * `agent:Scout:archive:7` is `agent+scout~1+archive+7`.
 *
 * @returns nothing for a name that is no zone of an agent.
 */
export function formatZoneFolder(zone: string): string | undefined {
  const name = parseZoneName(zone);
  if (name === undefined) return undefined;
  const { definition, archivedAtMs } = name;
  let upper = 0n;
  [...definition].forEach((letter, index) => {
    if (/[A-Z]/.test(letter)) upper |= 1n << BigInt(index);
  });
  const id = `${definition.toLowerCase()}${upper === 0n ? "" : `~${upper.toString(16)}`}`;
  return `agent+${id}+${archivedAtMs === undefined ? "current" : `archive+${archivedAtMs}`}`;
}

/** The zone of a folder; nothing for any other name, and nothing is guessed. */
export function parseZoneFolder(folder: string): string | undefined {
  // As other programs name them, where the file system allows it.
  if (parseZoneName(folder) !== undefined) return folder;
  const [, lower, upper = "0", rest = ""] = FOLDER.exec(folder) ?? [];
  if (lower === undefined) return undefined;
  const bits = BigInt(`0x${upper}`);
  const definition = [...lower]
    .map((letter, index) => ((bits >> BigInt(index)) & 1n ? letter.toUpperCase() : letter))
    .join("");
  const zone = `agent:${definition}:${rest.replace("+", ":")}`;
  return formatZoneFolder(zone) === folder ? zone : undefined;
}
