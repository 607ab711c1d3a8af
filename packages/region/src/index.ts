export * from "./errors.ts";
export type { RegionHealth } from "./health.ts";
export type { MembersOption } from "./members.ts";
export { openRegion } from "./open-region.ts";
export { REGION_DEFAULTS } from "./options.ts";
export type { ClusterKey, RegionLogger, RegionOptions, RegionPlatform } from "./options.ts";
export type * from "./region.ts";
export { CHANGES_WAITING_MAX } from "./changes.ts";
