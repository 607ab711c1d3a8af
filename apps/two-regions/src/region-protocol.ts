import type { OperationPosition } from "@tidemark/region";
import type { MemberOptions } from "./member.ts";
import type { RegionDriver } from "./region-driver.ts";
import type { BrokerName } from "./transports.ts";

/** What a region's process is told first. */
export interface ProcessPlan extends Omit<MemberOptions, "transport"> {
  readonly broker: BrokerName;
  readonly url: string;
  readonly prefix: string;
}

/** What a region's process can be asked. */
export interface RegionCalls extends Pick<
  RegionDriver,
  | "ready"
  | "submit"
  | "resume"
  | "ticket"
  | "filterVisible"
  | "withheld"
  | "users"
  | "sessions"
  | "health"
  | "certificate"
  | "close"
> {
  open(plan: ProcessPlan): Promise<void>;
}

export type CallName = keyof RegionCalls;

/** From the parent to a region's process. */
export type ToRegion =
  | { readonly id: number; readonly call: CallName; readonly args: readonly unknown[] }
  /** Ends the waiting of a call. */
  | { readonly abort: number };

/** An error that crossed. */
export interface CrossedError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
}

/** From a region's process to the parent. */
export type FromRegion =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: CrossedError }
  | { readonly applied: readonly OperationPosition[] };

/** An error as plain data. */
export function crossing(error: unknown): CrossedError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack } = error;
  const { code } = error as NodeJS.ErrnoException;
  return {
    name,
    message,
    ...(typeof code === "string" ? { code } : {}),
    ...(stack === undefined ? {} : { stack }),
  };
}

/** The error again, on the other side. */
export function arrived({ name, message, code, stack }: CrossedError): Error {
  const error = new Error(message);
  return Object.assign(error, {
    name,
    ...(code === undefined ? {} : { code }),
    ...(stack === undefined ? {} : { stack }),
  });
}
