import type { LeaseRecord, WorkClaim } from "@tidemark/session-store";

/** Where a session is kept. */
export type StorePlan =
  | { readonly backend: "lmdb"; readonly dir: string }
  | { readonly backend: "redis"; readonly url: string };

/** The calls of a worker's process, which has one session open. */
export interface WorkerCalls {
  /** Opens the session, which is made if there is none, in place of the one that was open. */
  open(store: StorePlan, session: string): Promise<void>;
  /** Sets the clock of the store as this process sees it: ms after the real one. */
  setClock(offsetMs: number): Promise<void>;
  /** Claims the lease; `undefined` while another holds it. */
  claimLease(owner: string, ttlMs: number): Promise<LeaseRecord | undefined>;
  /** Keeps the lease and answers with the code of the error that its work is cancelled with, once it is lost. */
  keepLease(ttlMs: number): Promise<string>;
  enqueue(text: string): Promise<void>;
  /** Claims the next work under the lease. */
  claimWork(): Promise<WorkClaim | undefined>;
  /** Commits a turn of one node under the lease, with the work that was claimed; answers with the head's revision. */
  commit(turn: string): Promise<number>;
  /** Makes the process stop itself (SIGSTOP) when its next step is decided and not yet written. */
  stopBeforeWriting(): Promise<void>;
  /** Answers what is queued, for ever, under leases of its own; tells of each turn that was committed. */
  work(owner: string, ttlMs: number): Promise<never>;
  /** All that is stored of the session: keys and values as hexadecimal text. */
  dump(): Promise<readonly (readonly [string, string])[]>;
}

/** A turn that was committed, and the ids of the batches it answers. */
export interface Answered {
  readonly turn: string;
  readonly batches: readonly string[];
}

export type CallName = keyof WorkerCalls;

/** An error as it crosses a channel. */
export interface CrossedError {
  readonly message: string;
  readonly code?: string;
}

export interface ToWorker {
  readonly id: number;
  readonly call: CallName;
  readonly args: readonly unknown[];
}

export type FromWorker =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: CrossedError }
  /** It stops itself next. */
  | { readonly stopping: true }
  | { readonly answered: Answered };
