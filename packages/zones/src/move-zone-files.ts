import { equalBytes } from "@tidemark/core";
import { readMeta } from "./zone-meta.ts";
import { META_FILE } from "./zone-name.ts";
import type { ZoneFile, ZoneFiles } from "./zone-files.ts";
import { compareOrder, type ZoneOrder } from "./zone-stamp.ts";

/** What becomes of one file of a move. */
export type FileAction = "copy" | "overwrite" | "keep" | "conflict";

/** One side of a file that is moved. */
export interface MovedFile extends ZoneFile {
  /** Where its zone stands, if the zone says it. */
  readonly order?: ZoneOrder;
}

/** What became of a move. */
export interface ZoneMove {
  readonly files: readonly { readonly file: string; readonly action: FileAction }[];
  /** Whether the source is gone. False after a conflict, and where it could not be removed. */
  readonly removed: boolean;
}

/**
 * What becomes of a file that is moved, also by a move that was begun earlier.
 *
 * | destination | which is later  | bytes  | action                                                  |
 * | :---------- | :-------------- | :----- | :------------------------------------------------------ |
 * | missing     |                 |        | copy                                                    |
 * | present     | the source      |        | overwrite                                               |
 * | present     | the destination |        | keep: somebody went on there                            |
 * | present     | neither         | equal  | keep                                                    |
 * | present     | neither         | differ | conflict: both stay, for somebody to look               |
 *
 * What is later is told by revision and hybrid clock where both zones record them, else by the times of the files.
 */
export function decideFileMove(source: MovedFile, destination: MovedFile | undefined): FileAction {
  if (destination === undefined) return "copy";
  const later =
    source.order === undefined || destination.order === undefined
      ? source.modifiedMs - destination.modifiedMs
      : compareOrder(source.order, destination.order);
  if (later !== 0) return later > 0 ? "overwrite" : "keep";
  return equalBytes(source.bytes, destination.bytes) ? "keep" : "conflict";
}

/**
 * Moves a zone to another name, file by file, with names, bytes and times. Run again after a crash of any step it ends
 * right: see {@link decideFileMove}. The source goes last, and only if nothing conflicts and each of its files is at the
 * destination. An empty source is done.
 *
 * @param options.log - Takes a line if the source cannot be removed, which is no failure: another run removes it.
 */
export async function moveZoneFiles(
  files: ZoneFiles,
  from: string,
  to: string,
  { log = () => undefined }: { readonly log?: (line: string) => void } = {},
): Promise<ZoneMove> {
  if (from === to) throw new RangeError("A zone cannot be moved to itself");
  const orders = { from: await orderOf(files, from), to: await orderOf(files, to) };
  const moved: { file: string; action: FileAction }[] = [];
  // What says where a zone stands goes last: until then it is that of the bytes that were there.
  const names = (await files.files(from)).toSorted(
    (a, b) => Number(a === META_FILE) - Number(b === META_FILE),
  );
  for (const file of names) {
    const source = await files.read(from, file);
    if (source === undefined) continue;
    const destination = await files.read(to, file);
    const action = decideFileMove(
      { ...source, ...orders.from },
      destination && { ...destination, ...orders.to },
    );
    if (action === "copy" || action === "overwrite") await files.write(to, file, source);
    moved.push({ file, action });
  }
  if (moved.length === 0) return { files: moved, removed: true };
  const arrived = new Set(await files.files(to));
  const whole = moved.every(({ file, action }) => action !== "conflict" && arrived.has(file));
  return { files: moved, removed: whole && (await removed(files, from, log)) };
}

async function removed(files: ZoneFiles, zone: string, log: (line: string) => void): Promise<boolean> {
  try {
    await files.remove(zone);
    return true;
  } catch (error) {
    log(`zones: ${zone} is moved, and could not be removed: ${String(error)}`);
    return false;
  }
}

async function orderOf(files: ZoneFiles, zone: string): Promise<{ readonly order?: ZoneOrder }> {
  const meta = readMeta((await files.read(zone, META_FILE))?.bytes);
  return meta === undefined ? {} : { order: meta.order };
}
