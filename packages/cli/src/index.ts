export * from "./errors.ts";
export * from "./exit-codes.ts";
export type { CliIo, CliStream } from "./io.ts";
export { nodeIo } from "./node-io.ts";
export { runCli } from "./run-cli.ts";
export type { RunCliOptions } from "./run-cli.ts";
export type { MembersChangeJson, MembersJson } from "./commands/members.ts";
export type { WalDumpJson } from "./commands/wal-dump.ts";
export type { WalInspectJson } from "./commands/wal-inspect.ts";
export type { WalRepairJson } from "./commands/wal-repair.ts";
export type { FindingJson, WalVerifyJson } from "./commands/wal-verify.ts";
export type { ExportJson } from "./commands/export.ts";
export type { KeygenJson } from "./commands/keygen.ts";
export type {
  NatsRightsJson,
  NatsStreamJson,
  ProvisionNatsJson,
  ProvisionRedisJson,
  RedisUserJson,
} from "./commands/provision.ts";
export type { StatusJson } from "./commands/status.ts";
export type { DoctorCheck, DoctorJson } from "./commands/doctor.ts";
export type { ZonesJson } from "./commands/zones.ts";
export type { ZonesArchiveJson, ZonesRestoreJson } from "./commands/zones-archive.ts";
export type { ZonesExportJson, ZonesImportJson } from "./commands/zones-files.ts";
export type { ZonesRetainJson } from "./commands/zones-retain.ts";
export type { TailJson } from "./commands/tail.ts";
