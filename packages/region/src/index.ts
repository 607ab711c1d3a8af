export { REGION_EVENT_NAMES } from "./diagnostics.ts";
export type { DiagnosticChannel, Diagnostics, RegionEvents } from "./diagnostics.ts";
export * from "./errors.ts";
export type { RegionHealth } from "./health.ts";
export { MEMBERS_FILE, readMembersFile, writeMembersFile } from "./members-file.ts";
export type { MembersFile } from "./members-file.ts";
export type { MembersOption, RegionMembers } from "./members.ts";
export { REGION_INSTRUMENTS } from "./instruments.ts";
export type { InstrumentLabels, InstrumentReading, RegionInstrument } from "./instruments.ts";
export type * from "./metrics.ts";
export { openRegion } from "./open-region.ts";
export { REGION_DEFAULTS } from "./options.ts";
export type { ClusterKey, RegionLogger, RegionOptions, RegionPlatform } from "./options.ts";
export * from "./export-row.ts";
export { exportDirectory, type ExportDirectory, type ExportOptions } from "./export-signals.ts";
export type * from "./region-signals.ts";
export type * from "./region.ts";
export { CHANGES_WAITING_MAX } from "./changes.ts";
export { STATUS_FILE } from "./status-file.ts";
export type { RegionStatus, StatusHealth } from "./status-file.ts";
export {
  readSessionRows,
  type SessionRow,
  type SessionRows,
  type SessionRowsOptions,
} from "./tail-session.ts";
