import type { Kv } from "@tidemark/kv";
import { type BlockSource, migrateBlockZones } from "./migrate-blocks.ts";
import { promoteTemplateSessions, type TemplateSource } from "./promote-templates.ts";
import { Zones, type ZonesOptions } from "./zones.ts";

/** What {@link openZones} needs beside what zones need. */
export interface OpenZonesOptions extends ZonesOptions {
  /** Where sessions lay before agents had zones. */
  readonly blocks?: BlockSource;
  /** Where templates and instances are. */
  readonly templates?: TemplateSource;
  /** Whether what is pending runs now. @defaultValue true */
  readonly migrate?: boolean;
}

/** Openings of one store follow one another: what one has migrated, the next finds done. */
const opening = new WeakMap<Kv, Promise<unknown>>();

/**
 * Opens zones, and runs the migrations that are pending, one opening of a store after the other. A migration that fails is
 * logged and runs again with the next opening: zones open all the same.
 */
export async function openZones({
  blocks,
  templates,
  migrate = true,
  ...options
}: OpenZonesOptions): Promise<Zones> {
  const zones = new Zones(options);
  if (!migrate) return zones;
  const run = async (): Promise<void> => {
    try {
      if (blocks !== undefined) await migrateBlockZones(zones, blocks);
      if (templates !== undefined) await promoteTemplateSessions(zones, templates);
    } catch (error) {
      zones.context.log(`zones: a migration failed, and will run again: ${String(error)}`);
    }
  };
  const last = (opening.get(options.kv) ?? Promise.resolve()).then(run);
  opening.set(options.kv, last);
  await last;
  return zones;
}
