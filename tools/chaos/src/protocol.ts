import type { WriteResult } from "@tidemark/region";
import type { FinalState, HistoryEvent, ShownSession } from "@tidemark/simulator";
import type { BrokerName } from "./broker.ts";

/** What a region's process is opened with. */
export interface RegionPlan {
  readonly name: string;
  readonly dir: string;
  readonly members: { readonly version: number; readonly regions: Readonly<Record<string, number>> };
  readonly bootstrap: boolean;
  readonly clusterKey: Uint8Array;
  readonly broker: BrokerName;
  readonly url: string;
}

/** A write as it crosses to a region's process. */
export type WriteRequest =
  | { readonly operation: "annotate"; readonly text: string }
  | {
      readonly operation: "signal";
      readonly entity: string;
      readonly weight: number;
      readonly eventTimeMs: number;
    }
  | { readonly operation: "hide" | "unhide"; readonly item: string }
  | { readonly operation: "prefer"; readonly key: string; readonly value: string };

/** The calls of a region's process. */
export interface RegionCalls {
  open(plan: RegionPlan): Promise<void>;
  ready(timeoutMs: number): Promise<void>;
  /** Starts the session, or finds it. */
  start(session: string, user: string, operationId: string): Promise<void>;
  write(session: string, user: string, request: WriteRequest, operationId: string): Promise<WriteResult>;
  read(user: string, asked: readonly string[]): Promise<readonly string[]>;
  state(session: string): Promise<ShownSession | undefined>;
  cursor(session: string): Promise<string | undefined>;
  ticket(user: string): Promise<string>;
  resumeCursor(session: string, cursor: string, timeoutMs: number): Promise<void>;
  resumeTicket(user: string, ticket: string, timeoutMs: number): Promise<void>;
  synced(timeoutMs: number): Promise<boolean>;
  /** What it shows of all that these events name; its files are read by the parent. */
  final(events: readonly HistoryEvent[]): Promise<Omit<FinalState, "files">>;
  close(): Promise<void>;
}

export type CallName = keyof RegionCalls;

/** An error as it crosses a channel. */
export interface CrossedError {
  readonly message: string;
  readonly code?: string;
}

export interface ToRegion {
  readonly id: number;
  readonly call: CallName;
  readonly args: readonly unknown[];
}

export type FromRegion =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: CrossedError };
