import type { HideKind, Hlc, LogId } from "@tidemark/core";
import type { Lane } from "./lane-id.ts";
import type { OpKind, UnhideKind } from "./op-kinds.ts";

/** What a start says in the clear. */
export interface StartClear {
  /** Names the policy; empty for none. */
  readonly policy: string;
  /** u32. */
  readonly policyVersion: number;
  /** The session this one was forked from. */
  readonly parent?: string;
  /** The digest of the signal schema that the accepting region had, 32 bytes. */
  readonly schema?: Uint8Array;
}

/** What a start says about people. */
export interface StartSealed {
  readonly user: string;
  readonly agent: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a fork or merge says in the clear. */
export interface ForkClear {
  /** That of the first parent. */
  readonly policy: string;
  /** u32. */
  readonly policyVersion: number;
  /** How far the accepting region had applied the parents and their user, log by log: for information only. */
  readonly vector: readonly { readonly log: LogId; readonly lsn: number }[];
  /** One for a fork, two for a merge. */
  readonly parents: readonly string[];
}

/** What a fork or merge says about people. */
export interface ForkSealed extends StartSealed {
  /** The digest of `state`, 32 bytes. */
  readonly digest: Uint8Array;
  /** What the parents held when it was accepted: {@link encodeCarried}. */
  readonly state: Uint8Array;
}

/** A preference signal: what the ledger adds up. */
export interface SignalClear {
  readonly entity: string;
  readonly signal: string;
  /** Below 2^40 in magnitude. */
  readonly weight: number;
  /** When it happened, Unix milliseconds. */
  readonly eventTimeMs: number;
}

/** What a signal says beyond the ledger. */
export interface SignalSealed {
  readonly annotation?: string;
  /** Of an explored item: how likely it was to be shown, above 0 and at most 1. For training, not for scores. */
  readonly propensity?: number;
}

/** A hint of the user's: the latest value of a key wins. */
export interface PreferSealed {
  readonly key: string;
  readonly value: string;
}

/** Text about an entity, or about the session. */
export interface AnnotateSealed {
  readonly entity?: string;
  readonly text: string;
}

/** Whose hide it is, and of what. A hide carries its user: the fold never derives it from the session. */
export interface HideSealed {
  readonly user: string;
  readonly item: string;
}

/** The dots (effect ids, 16 bytes each) of the hides that a removal had seen. */
export interface UnhideClear {
  readonly dots: readonly Uint8Array[];
}

/** A query made. */
export interface SearchSealed {
  readonly query: string;
}

/** Why a session was closed. */
export interface CloseClear {
  /** 0: by its agent or user; 1: it was idle; 2: its time was over. */
  readonly reason: number;
  /**
   * Of an idle close: the latest stamp its writer had folded. The close is void if the session has an operation
   * stamped between this and the close: somebody was active elsewhere.
   */
  readonly latest?: Hlc;
}

/** Whose operation it is. */
export interface AppClear {
  readonly namespace: string;
}

/** The application's own bytes. */
export interface AppSealed {
  readonly bytes: Uint8Array;
}

/** Whose keys are destroyed, and up to which generation. */
export interface EraseClear {
  /** 16 bytes. */
  readonly pseudonym: Uint8Array;
  /** u32, from 1. */
  readonly upTo: number;
}

/** A part with nothing in it. */
export type EmptyPart = Readonly<Record<never, never>>;

/** The parts of each kind: `clear` is what ordering and the ledger need and names no user, `sealed` can be erased. */
export type OpContent =
  | { readonly kind: "start"; readonly clear: StartClear; readonly sealed: StartSealed }
  | { readonly kind: "fork" | "merge"; readonly clear: ForkClear; readonly sealed: ForkSealed }
  | { readonly kind: "signal"; readonly clear: SignalClear; readonly sealed: SignalSealed }
  | { readonly kind: "prefer"; readonly clear: EmptyPart; readonly sealed: PreferSealed }
  | { readonly kind: "annotate"; readonly clear: EmptyPart; readonly sealed: AnnotateSealed }
  | { readonly kind: HideKind; readonly clear: EmptyPart; readonly sealed: HideSealed }
  | { readonly kind: UnhideKind; readonly clear: UnhideClear; readonly sealed: HideSealed }
  | { readonly kind: "search"; readonly clear: EmptyPart; readonly sealed: SearchSealed }
  | { readonly kind: "close"; readonly clear: CloseClear; readonly sealed: EmptyPart }
  | { readonly kind: "purge"; readonly clear: EmptyPart; readonly sealed: EmptyPart }
  | { readonly kind: "erase"; readonly clear: EraseClear; readonly sealed: EmptyPart }
  | { readonly kind: "app"; readonly clear: AppClear; readonly sealed: AppSealed };

/** The content of one kind. */
export type ContentOf<Kind extends OpKind> = Extract<OpContent, { readonly kind: Kind }>;

/** Tag and digest of a client's operationId: together they are the effect id. */
export interface Operation {
  /** 8 bytes: which operation. */
  readonly tag: Uint8Array;
  /** 8 bytes: what was asked for. */
  readonly digest: Uint8Array;
}

/** What every operation carries besides its content. */
export interface OpHeader {
  readonly session: string;
  readonly lane: Lane;
  /** From 1 within the lane, without holes. */
  readonly seqno: number;
  readonly stamp: Hlc;
  /** The generation of the user's key that encrypts the sealed part, u32; 0 for none. */
  readonly userKey: number;
  readonly operation?: Operation;
}

/** An operation as it is written: immutable once encoded. */
export type Op = OpHeader & OpContent;
