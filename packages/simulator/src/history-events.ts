/** Whether a write happened, as its caller knows it. */
export type Outcome =
  | {
      readonly kind: "applied" | "duplicate";
      /** 32 hexadecimal digits; absent where the call does not tell it, as that of a start. */
      readonly effectId?: string;
      readonly position?: HistoryPosition;
    }
  /** `refused`: judged, nothing changed. `failed`: an error, after which it may or may not have happened. */
  | { readonly kind: "refused" | "failed"; readonly code: string }
  /** The process died or was closed: it may or may not have happened. */
  | { readonly kind: "unknown" };

/** The place of an operation. */
export interface HistoryPosition {
  readonly session: string;
  readonly lane: string;
  readonly seqno: number;
}

/** What can be written. */
export type WriteKind =
  | "start"
  | "fork"
  | "merge"
  | "signal"
  | "prefer"
  | "annotate"
  | "hide"
  | "unhide"
  | "mute"
  | "unmute"
  | "block"
  | "unblock"
  | "search"
  | "app"
  | "close"
  | "erase";

/** Where and when something happened. Every event has an `index` of its own: the order in which things were seen. */
interface Event {
  readonly index: number;
  /** Milliseconds since the run began. */
  readonly at: number;
}

/** A write was called. What it wrote is unique to it: a text or value of a hint tells which write it comes from. */
export interface WriteEvent extends Event {
  readonly type: "write";
  readonly client: string;
  /** The region's name, and which of its lives. */
  readonly region: string;
  readonly life: number;
  readonly user: string;
  /** Of the session that is written to, or begun; absent for an erasure. */
  readonly session?: string;
  readonly operation: WriteKind;
  /** Of a hide, mute, block or its removal. */
  readonly item?: string;
  /** Of an annotation, a query, the bytes of an application as text. */
  readonly text?: string;
  /** Of a hint; the namespace of an application; the name of a signal. */
  readonly key?: string;
  readonly value?: string;
  readonly entity?: string;
  readonly weight?: number;
  /** Of a fork or merge. */
  readonly parents?: readonly string[];
  readonly operationId?: string;
  /** Absent while it has not returned: it may or may not have happened. */
  outcome?: Outcome;
  /** The index of its return. */
  returnedIndex?: number;
}

/** A write returned. */
export interface ReturnEvent extends Event {
  readonly type: "return";
  /** The index of the write. */
  readonly write: number;
  readonly outcome: Outcome;
}

/** A client asked which items may be shown. */
export interface ReadEvent extends Event {
  readonly type: "read";
  readonly client: string;
  readonly region: string;
  readonly life: number;
  readonly user: string;
  readonly asked: readonly string[];
  readonly visible: readonly string[];
}

/** What a session shows, as plain data. */
export interface ShownSession {
  readonly user?: string;
  readonly agent?: string;
  readonly open: boolean;
  readonly annotations: readonly string[];
  readonly hints: Readonly<Record<string, string>>;
  readonly searches: readonly string[];
  /** Namespace to the bytes as text. */
  readonly apps: Readonly<Record<string, readonly string[]>>;
  /** Entity and signal, with a space between, to how many count. */
  readonly signals: Readonly<Record<string, { readonly count: number; readonly weight: number }>>;
  readonly parents: readonly string[];
  /** Forks, starts and requests in conflict, and operations that could not be folded. */
  readonly conflicts: number;
}

/** A client read a session. */
export interface StateEvent extends Event {
  readonly type: "state";
  readonly client: string;
  readonly region: string;
  readonly life: number;
  readonly session: string;
  readonly shown: ShownSession;
}

/** A client presented a cursor or ticket in a region. */
export interface RoamEvent extends Event {
  readonly type: "roam";
  readonly client: string;
  readonly by: "cursor" | "ticket";
  readonly from: string;
  readonly to: string;
  /** Of the region it went to. */
  readonly life: number;
  readonly user: string;
  readonly session?: string;
  /** When it asked, and how long it was ready to wait. */
  readonly calledAt: number;
  readonly timeoutMs: number;
  readonly outcome:
    | "covered"
    | "unknown"
    | { readonly refused: string }
    /** An error without a code that the contract names. */
    | { readonly failed: string };
  /** Indexes of the writes that its bearer had made or seen. */
  readonly must: readonly number[];
  /** The first event that came after the token was taken. @defaultValue this one */
  readonly taken?: number;
}

/** A client went to a region with nothing in hand: it expects nothing there. */
export interface MovedEvent extends Event {
  readonly type: "moved";
  readonly client: string;
  readonly region: string;
}

/** A region was opened. */
export interface LifeEvent extends Event {
  readonly type: "life";
  readonly region: string;
  /** The region's number. */
  readonly id: number;
  readonly life: number;
  /** Whether this history has each operation that the region applies. */
  readonly observed: boolean;
  /** Its disk is not the one of its last life, or older: it need not know what it knew. */
  readonly forgets?: boolean;
  /** How far it has applied each log; absent while it does not know its cluster. */
  readonly vector?: Readonly<Record<string, number>>;
}

/** A region applied an operation that it did not have. */
export interface AppliedEvent extends Event {
  readonly type: "applied";
  readonly region: string;
  readonly life: number;
  readonly session: string;
  readonly kind: string;
  readonly lane: string;
  readonly seqno: number;
  /** The log that brought it first, as text, and its place there. */
  readonly log: string;
  readonly lsn: number;
  /** The highest reading that the region's wall clock ever had. */
  readonly wallMs?: number;
}

/** A region's state digest at a vector. */
export interface CertificateEvent extends Event {
  readonly type: "certificate";
  readonly region: string;
  readonly vector: Readonly<Record<string, number>>;
  readonly digest: string;
}

/** What a region said of its queues. */
export interface SampleEvent extends Event {
  readonly type: "sample";
  readonly region: string;
  readonly queueRecords: number;
  readonly queueBytes: number;
  readonly receiveAheadBytes: number;
  /** Logs it receives. */
  readonly receiving: number;
  /** States of other regions that replaced its own in this life: not each operation of those was seen applied. */
  readonly replaced: number;
}

/** A list of members was written: it counts from now on, or later. */
export interface MembersEvent extends Event {
  readonly type: "members";
  readonly version: number;
  readonly regions: readonly string[];
}

/** Something was done to the world. */
export interface FaultEvent extends Event {
  readonly type: "fault";
  readonly name: string;
  readonly target: string;
  /** What is stored at the target may be damaged from now on. */
  readonly damages?: boolean;
}

/** Everything works again, and how long the regions took to have everything. */
export interface ConvergedEvent extends Event {
  readonly type: "converged";
  readonly healedAt: number;
  /** When all had everything; absent if they never had. */
  readonly convergedAt?: number;
  readonly boundMs: number;
  /** What was still missing when it was given up. */
  readonly missing?: string;
}

/** What happened in a run, one event a line, as plain data. */
export type HistoryEvent =
  | WriteEvent
  | ReturnEvent
  | ReadEvent
  | StateEvent
  | RoamEvent
  | MovedEvent
  | LifeEvent
  | AppliedEvent
  | CertificateEvent
  | SampleEvent
  | MembersEvent
  | FaultEvent
  | ConvergedEvent;

/** The name of what a write does: retries of one operation share it, all others have one of their own. */
export function effectNameOf(write: WriteEvent): string {
  const { session = "", operationId, operation, item = "", text = "", key = "", value = "" } = write;
  if (operationId === undefined) return `#${write.index}`;
  const { entity = "", weight = "" } = write;
  return [session, operationId, operation, item, text, key, value, entity, weight].join("\n");
}

/** Whether a write is known to have happened. */
export function happened(write: WriteEvent): boolean {
  return write.outcome?.kind === "applied" || write.outcome?.kind === "duplicate";
}

/** Whether a write can have happened. */
export function mayHaveHappened(write: WriteEvent): boolean {
  return write.outcome?.kind !== "refused";
}
