export * from "./errors.ts";
export * from "./exit-codes.ts";
export type { CliIo, CliStream } from "./io.ts";
export { nodeIo } from "./node-io.ts";
export { runCli } from "./run-cli.ts";
export type { RunCliOptions } from "./run-cli.ts";
export type { KeygenJson } from "./commands/keygen.ts";
export type { StatusJson } from "./commands/status.ts";
export type { DoctorCheck, DoctorJson } from "./commands/doctor.ts";
