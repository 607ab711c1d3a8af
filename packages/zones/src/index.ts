export * from "./errors.ts";
export * from "./definition-id.ts";
export * from "./zone-name.ts";
export * from "./preview.ts";
export * from "./limits.ts";
export type { Appended } from "./append-output.ts";
export type { Archived } from "./archive-zone.ts";
export type { ArchiveSummary } from "./list-archives.ts";
export type { OutputEntry, Recovered, SessionState } from "./recover.ts";
export type { Restored } from "./restore-archive.ts";
export type { RetainOptions } from "./retention.ts";
export type { StateWritten } from "./write-state.ts";
export type { ZoneFence } from "./zone-records.ts";
export { type CurrentSession, type WriteStateOptions, Zones, type ZonesOptions } from "./zones.ts";
export type { ZoneFile, ZoneFiles } from "./zone-files.ts";
export { MemoryZoneFiles } from "./memory-zone-files.ts";
export {
  decideFileMove,
  type FileAction,
  type MovedFile,
  moveZoneFiles,
  type ZoneMove,
} from "./move-zone-files.ts";
export { exportZones, type ExportedZone, type ExportOptions } from "./export-zones.ts";
export { type ImportedZone, type ImportOptions, importZones } from "./import-zones.ts";
export type { ZoneOrder } from "./zone-stamp.ts";
export {
  type BlockCheck,
  type BlockCounts,
  type BlockSource,
  type BlockZone,
  migrateBlockZones,
  verifyBlockZones,
} from "./migrate-blocks.ts";
export type { LedgerEntry } from "./migration-ledger.ts";
export { type MovedZones, moveZones } from "./move-zones.ts";
export { openZones, type OpenZonesOptions } from "./open-zones.ts";
export {
  type AgentInstance,
  type PromotedDefinition,
  promoteTemplateSessions,
  type SeededTemplate,
  type TemplateCounts,
  type TemplateSource,
  templatesWithZones,
} from "./promote-templates.ts";
