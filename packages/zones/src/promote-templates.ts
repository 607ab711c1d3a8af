import { contentDigest } from "./content-digest.ts";
import { DEFINITION_ID_LENGTH_MAX, isDefinitionId } from "./definition-id.ts";
import { writeLedger } from "./migration-ledger.ts";
import { copyZones, removeCopied } from "./move-zones.ts";
import type { ZoneContext } from "./zone-context.ts";
import type { Zones } from "./zones.ts";

/** An agent definition that came with the program. */
export interface SeededTemplate {
  readonly definitionId: string;
  readonly name: string;
}

/** An instance of an agent, which names its definition. */
export interface AgentInstance {
  readonly instanceId: string;
  readonly definitionId: string;
  /** What its user called it; continuations have the name of what they continue. */
  readonly name?: string;
  /** Unix ms. */
  readonly lastActiveMs: number;
}

/** A definition of its user's own that is to be made of a template. */
export interface PromotedDefinition {
  readonly definitionId: string;
  readonly templateId: string;
  readonly name: string;
}

/** What {@link promoteTemplateSessions} asks of the program. Each call may be made again after a crash. */
export interface TemplateSource {
  /** The templates that came with the program, and no definitions of users. */
  templates(): AsyncIterable<SeededTemplate>;
  instances(): AsyncIterable<AgentInstance>;
  /** Makes a definition of its user's own, as a clone of the template. One that is there is left as it is. */
  create(definition: PromotedDefinition): Promise<void>;
  /** Lets an instance name another definition. */
  repoint(instanceId: string, definitionId: string): Promise<void>;
}

/** What {@link promoteTemplateSessions} did. All zero if no template has a zone. */
export interface TemplateCounts {
  /** Templates that had zones. */
  readonly scanned: number;
  readonly promoted: number;
  /** Archives that were moved. */
  readonly archives: number;
  /** Instances that name the new definition. */
  readonly repointed: number;
  readonly failed: number;
}

const MIGRATION = "template-sessions";
const VERSION = 1;
const PREFIX = "template-promote-v1-";

/** The definition that a template's sessions go to: always the same, so that every run goes on with the one before. */
export function promotedDefinitionId({ hasher }: Pick<ZoneContext, "hasher">, templateId: string): string {
  const id = `${PREFIX}${templateId}`;
  if (id.length <= DEFINITION_ID_LENGTH_MAX) return id;
  const digest = contentDigest(hasher, new TextEncoder().encode(templateId));
  return `${id.slice(0, DEFINITION_ID_LENGTH_MAX - digest.length - 1)}-${digest}`;
}

/**
 * Promotes templates that carry sessions: each becomes a definition of its user's own, whose zones they are then. A template is
 * a thing of the program, and no history belongs to it.
 *
 * What is to be done is asked of the zones at each call, whatever the ledger says. The template's zones go last: after a crash
 * anywhere a second call ends right, and if somebody went on meanwhile, the later state wins.
 */
export async function promoteTemplateSessions(zones: Zones, source: TemplateSource): Promise<TemplateCounts> {
  const { context } = zones;
  const counts = { scanned: 0, promoted: 0, archives: 0, repointed: 0, failed: 0 };
  let listed = true;
  try {
    for await (const template of source.templates()) {
      if (!isDefinitionId(template.definitionId)) continue;
      if (!(await hasZones(zones, template.definitionId))) continue;
      counts.scanned += 1;
      try {
        const { archives, repointed, whole } = await promote(zones, template, source);
        counts.archives += archives;
        counts.repointed += repointed;
        if (whole) counts.promoted += 1;
        else counts.failed += 1;
      } catch (error) {
        counts.failed += 1;
        context.log(`zones: the template ${template.definitionId} could not be promoted: ${String(error)}`);
      }
    }
  } catch (error) {
    listed = false;
    context.log(`zones: the templates could not be listed: ${String(error)}`);
  }
  if (counts.scanned === 0 && listed) return counts;
  const whole = listed && counts.failed === 0 && (await templatesWithZones(zones, source)).length === 0;
  if (whole) await writeLedger(context, { migration: MIGRATION, version: VERSION, counts });
  context.log(
    `zones: templates: ${counts.scanned} with sessions, ${counts.promoted} promoted, ${counts.archives} archives moved, ` +
      `${counts.repointed} instances repointed, ${counts.failed} failed${whole ? "" : "; to be run again"}`,
  );
  return counts;
}

/** Checks, and only reads: the templates that carry zones, which none should. */
export async function templatesWithZones(
  zones: Zones,
  source: Pick<TemplateSource, "templates">,
): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { definitionId } of source.templates())
    if (isDefinitionId(definitionId) && (await hasZones(zones, definitionId))) found.push(definitionId);
  return found;
}

async function promote(
  zones: Zones,
  { definitionId: templateId, name }: SeededTemplate,
  source: TemplateSource,
): Promise<{ readonly archives: number; readonly repointed: number; readonly whole: boolean }> {
  const definitionId = promotedDefinitionId(zones.context, templateId);
  const instances = await instancesOf(source, templateId);
  const named = instances
    .filter((instance) => (instance.name ?? "") !== "")
    .toSorted((a, b) => b.lastActiveMs - a.lastActiveMs);
  await source.create({ definitionId, templateId, name: named[0]?.name ?? name });
  const copied = await copyZones(zones, templateId, definitionId);
  for (const { instanceId } of instances) await source.repoint(instanceId, definitionId);
  const whole = await removeCopied(zones, templateId, copied);
  return { archives: copied.archives.length, repointed: instances.length, whole };
}

async function instancesOf(source: TemplateSource, definitionId: string): Promise<AgentInstance[]> {
  const found: AgentInstance[] = [];
  for await (const instance of source.instances())
    if (instance.definitionId === definitionId) found.push(instance);
  return found;
}

async function hasZones(zones: Zones, definition: string): Promise<boolean> {
  if ((await zones.currentSession(definition)) !== undefined) return true;
  return (await zones.listArchives(definition, { limit: 1 })).length > 0;
}
