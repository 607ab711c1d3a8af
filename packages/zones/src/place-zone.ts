import {
  decidePlaceArchive,
  decidePlaceCurrent,
  type Placed,
  type PlaceOptions,
  type PlaceView,
  readPlace,
} from "./place-content.ts";
import { describeContent, type ForeignContent, stageContent } from "./stage-content.ts";
import { sweepGarbage } from "./sweep-zone.ts";
import { writerOf, type ZoneContext } from "./zone-context.ts";

/** How content from elsewhere is placed. */
export interface PlaceZoneOptions extends Omit<PlaceOptions, "order"> {
  /** As what it comes: an archive, or what is current there. */
  readonly as: "archive" | "current";
  /** Only says what would become of it. */
  readonly dryRun?: boolean;
}

/**
 * Takes content from elsewhere: its bytes first, which nothing points to, then in one step what points to them. Run again
 * after a crash it ends right, and takes it once.
 *
 * @throws ZonesError `ZONE_TOO_LARGE`
 */
export async function placeZone(
  context: ZoneContext,
  definition: string,
  content: ForeignContent,
  { as, dryRun = false, ...how }: PlaceZoneOptions,
): Promise<Placed> {
  const { commits, directory, limits } = context;
  const writer = writerOf(context, definition);
  const { records } = writer;
  const described = describeContent(content, definition, { records }, limits);
  const { atMs } = how;
  const options = { ...how, order: content.order };
  const decide = (view: PlaceView, nowMs: number): ReturnType<typeof decidePlaceArchive> =>
    as === "archive"
      ? decidePlaceArchive(view, described, options, writer)
      : decidePlaceCurrent(view, described, options, writer, nowMs);
  const planned = await commits.read(definition, async (view) =>
    decide(await readPlace(view, described, atMs, writer), await context.kv.nowMs()),
  );
  if (dryRun || planned.result.outcome === "present" || planned.result.outcome === "conflict")
    return planned.result;
  await directory.intend(definition);
  // What is left of the same content that was given up must not be swept when it is there again.
  await sweepGarbage(commits, definition);
  await stageContent(commits, definition, content, described.head, records);
  const placed = await commits.decide(
    definition,
    "pointers",
    (view) => readPlace(view, described, atMs, writer),
    decide,
  );
  await sweepGarbage(commits, definition);
  return placed;
}
