import type { RegionId } from "@tidemark/core";
import type {
  AppOperation,
  Cursor,
  LaneProgress,
  MergeFilter,
  SessionChange,
  SessionState,
  Ticket,
} from "@tidemark/session";
import type { SessionProgress } from "@tidemark/session-bridge";
import type { MembersOption, RegionMembers } from "./members.ts";
import type { RegionHealth } from "./health.ts";
import type { RegionSignals, SignalOptions } from "./region-signals.ts";
import type { RegionMetrics } from "./metrics.ts";

/** How far a write must have travelled before its promise resolves. */
export type AckLevel = "local" | "all" | { readonly remote: number };

/** What every write takes. */
export interface WriteOptions {
  /** Names the operation: the same id sent again, to this or another region, is one effect. 1 to 128 UTF-8 bytes. */
  readonly operationId?: string;
  /** `local`: durable here. `{ remote: k }`: durable in k other members as well. `all`: stable, in every member. @defaultValue "local" */
  readonly ack?: AckLevel;
  /** How long to wait for `ack`, in milliseconds; the write is durable here whatever the answer. @defaultValue 10,000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The outcome of a write. A write rejects only for invalid input, a closed region, a failed disk or an abort. */
export interface WriteResult {
  /** `applied`: counted once. `duplicate`: this operation had been applied before. `refused`: nothing changed, see `reason`. */
  readonly outcome: "applied" | "duplicate" | "refused";
  /** 32 hexadecimal digits that name the effect in every region. */
  readonly effectId?: string;
  /** The operation's place in its session. */
  readonly position?: OperationPosition;
  /** What was reached of the `ack` asked for: `unconfirmed` says "durable here, not yet confirmed". */
  readonly ack?: "local" | "remote" | "all" | "unconfirmed";
  /** The code of a refusal, such as `SESSION_CLOSED`. */
  readonly reason?: string;
  /** The refusal in words. */
  readonly message?: string;
}

/** A place in a session: the number within one writer's sequence. */
export interface OperationPosition {
  readonly session: string;
  /** The writer, as text. */
  readonly lane: string;
  /** From 1, without holes. */
  readonly seqno: number;
}

/** Options of an annotation. */
export interface AnnotateOptions extends WriteOptions {
  /** The entity the text is about; without it the session. */
  readonly entity?: string;
}

/** A session as an agent works with it. Every call takes effect in this region and travels from here. */
export interface Session<Signal extends string = string, States extends object = object> {
  readonly id: string;
  readonly user: User<Signal, States>;
  /** A preference signal: `weight` is below 2^40 in magnitude, else `INVALID_WEIGHT`. */
  signal(entity: string, signal: Signal, weight: number, options?: SignalOptions): Promise<WriteResult>;
  /** A preference hint: the last value of a key wins. */
  prefer(key: string, value: string, options?: WriteOptions): Promise<WriteResult>;
  annotate(text: string, options?: AnnotateOptions): Promise<WriteResult>;
  /** Never show this item to the user again, in any session. */
  hide(item: string, options?: WriteOptions): Promise<WriteResult>;
  /** Lifts the hides of the item that this region knows; takes effect once every region has heard of it. */
  unhide(item: string, options?: WriteOptions): Promise<WriteResult>;
  mute(item: string, options?: WriteOptions): Promise<WriteResult>;
  unmute(item: string, options?: WriteOptions): Promise<WriteResult>;
  block(item: string, options?: WriteOptions): Promise<WriteResult>;
  unblock(item: string, options?: WriteOptions): Promise<WriteResult>;
  /** Remembers a query: the latest 100 are kept. */
  search(query: string, options?: WriteOptions): Promise<WriteResult>;
  /** An operation of the application: carried, ordered and deduplicated like any other. At most 256 KiB. */
  app(namespace: string, bytes: Uint8Array, options?: WriteOptions): Promise<WriteResult>;
  /**
   * A new session of the same user that begins with all that is known here of this one, and goes its own way.
   *
   * @throws SessionError `SESSION_EXISTS`, `SESSION_TOO_LARGE` beyond what one operation carries (2 MiB).
   */
  fork(options?: ForkOptions): Promise<Session<Signal, States>>;
  /** No further write is accepted where the close is known. */
  close(options?: WriteOptions): Promise<WriteResult>;
  /** Everything applied here, as plain data. */
  state(): SessionState;
  /**
   * What the region's reducer of a namespace makes of the latest 1,000 `app` operations of it that are applied here: the
   * same wherever these are known. Folded anew at each call.
   *
   * @throws SessionError `REDUCER_FAILED` with the cause if the reducer throws or gives a promise.
   * @throws `TypeError` if the region was opened without a reducer of it.
   */
  appState<Namespace extends keyof States & string>(namespace: Namespace): States[Namespace];
  /**
   * The latest 1,000 `app` operations of a namespace that are applied here, oldest first, as a reducer is given them: what
   * another store is kept in step with, woken by {@link changes}. An operation that comes late may stand before others
   * that were given already.
   */
  appOperations(namespace: string, options?: AppOperationsOptions): AppOperation[];
  /**
   * How much of each writer's operations is applied here, by the lane that {@link OperationPosition} names: what a reader of
   * {@link changes} compares with what it was given.
   */
  lanes(): ReadonlyMap<string, LaneProgress>;
  /** What a bearer of this session has seen here; see {@link Sessions.resume}. */
  cursor(): Cursor;
  /** The user's ticket; see {@link Users.resume}. */
  ticket(): Ticket;
  /** How far what is known here of the session has travelled to another member, for "synced to eu-west". */
  progress(region: string): SessionSync;
  /**
   * Each operation of the session once, as it is applied here: from this call on, or behind a cursor. What is so old that
   * its segment is gone is left out, and so is what a copy of a state brought: {@link lanes} tells.
   */
  changes(options?: ChangesOptions): AsyncIterable<SessionChange>;
}

/** How far a session has travelled to another member. */
export interface SessionSync {
  /** The member's name. */
  readonly region: string;
  /** Whether it has acknowledged everything that is known here of the session and its user. */
  readonly synced: boolean;
  readonly logs: readonly SessionProgress[];
}

/** Options of {@link Session.appOperations}. */
export interface AppOperationsOptions {
  /** Leaves out operations whose effect ids it says yes to; their bytes are not copied. @defaultValue all are given */
  readonly known?: (effectId: string) => boolean;
}

/** Options of {@link Session.changes}. */
export interface ChangesOptions {
  /** Begins behind what this cursor covers; without it, from now on. */
  readonly after?: Cursor | string;
  /** `false`: ends with what is applied when the reading begins. @defaultValue true */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** How a session begins. */
export interface StartOptions extends WriteOptions {
  readonly agent: string;
  /** The name of a policy that this region holds: the session is bound to its newest version. @defaultValue none */
  readonly policy?: string;
  /** Strings only; at most 16 KiB a value. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** How a fork begins. */
export interface ForkOptions extends WriteOptions {
  /** Minted unless given. */
  readonly id?: string;
  /** @defaultValue that of the parent, the first one's of a merge */
  readonly agent?: string;
  /** @defaultValue that of the parent; of both, the first one's where they differ, for a merge */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** How a merge begins. */
export interface MergeOptions extends ForkOptions {
  /**
   * Leaves out what it says no to, besides what the policy of the first session does not allow. A retry need not
   * repeat it. @defaultValue everything
   */
  readonly allows?: MergeFilter;
}

/** A user, across all sessions. */
export interface User<Signal extends string = string, States extends object = object> {
  readonly id: string;
  /** Items hidden, muted or blocked, sorted by their UTF-8 bytes. */
  hidden(): string[];
  /** The items that may be shown, in the order given. */
  filterVisible<Item>(items: readonly Item[], itemOf?: (item: Item) => string): Item[];
  /** Items that stay hidden only because an unhide is not known everywhere yet. */
  withheld(): number;
  /** Ids of the user's sessions in order of the id. */
  sessions(options?: SessionsOptions): string[];
  /** The session of that id; started if it is new and `start` is given. */
  session(id: string, start?: StartOptions): Promise<Session<Signal, States>>;
  /** Everything the user's device has seen, to be presented in any region. */
  ticket(): Ticket;
}

/** Options of {@link User.sessions}. */
export interface SessionsOptions {
  /** Only open, or only closed ones. */
  readonly open?: boolean;
  /** @defaultValue 100 */
  readonly limit?: number;
  /** Begins behind this id. */
  readonly after?: string;
  /**
   * The id of a session of this user: only sessions that its policy lets its agent see; `SESSION_UNKNOWN` if there is no
   * such session. @defaultValue all are listed
   */
  readonly visibleTo?: string;
}

/** How long a resume may wait. */
export interface ResumeOptions {
  /** @defaultValue 10,000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A region's sessions. */
export interface Sessions<Signal extends string = string, States extends object = object> {
  /**
   * Starts a session; the id is minted unless given.
   *
   * @throws SessionError `SESSION_EXISTS` if the id is taken, unless this is a retry of the same operation.
   */
  start(
    options: StartOptions & { readonly id?: string; readonly user: string },
  ): Promise<Session<Signal, States>>;
  /**
   * A new session that begins with what is known here of two sessions of one user: what both were made of counts once.
   *
   * @throws SessionError `SESSION_USERS_DIFFER`, `SESSION_STATES_CROSSED` where each carries something of a third
   * session that the other lacks, `SESSION_UNKNOWN`, `SESSION_EXISTS`, `SESSION_TOO_LARGE`.
   */
  merge(one: string, other: string, options?: MergeOptions): Promise<Session<Signal, States>>;
  /** The session, if anything of it has been applied here. */
  get(id: string): Session<Signal, States> | undefined;
  /**
   * Waits until this region covers the cursor: at least what its bearer had seen, or a typed refusal.
   *
   * @throws RegionError `NOT_YET_VISIBLE` with what is missing when the deadline passes, `POSITION_UNKNOWN`.
   * @throws SessionError `SESSION_UNKNOWN` if the cursor covers nothing and nothing of the session is known here; `CURSOR_*` for a token that is malformed, foreign, forged or of another session.
   */
  resume(
    id: string,
    options: ResumeOptions & { readonly cursor: Cursor | string },
  ): Promise<Session<Signal, States>>;
}

/** A region's users. */
export interface Users<Signal extends string = string, States extends object = object> {
  get(user: string): User<Signal, States>;
  /**
   * Hands in a ticket: its operations are applied here at once, also while the region they came from
   * cannot be reached, and what lies below them is waited for.
   *
   * A follower hands the operations to a member that writes, and waits until they come back.
   *
   * @throws RegionError `NOT_YET_VISIBLE`, `POSITION_UNKNOWN`. @throws SessionError `TICKET_*`.
   */
  resume(
    user: string,
    options: ResumeOptions & { readonly ticket: Ticket | string },
  ): Promise<User<Signal, States>>;
  /**
   * Erases a user in every region: the keys of what they wrote so far are destroyed, and it folds to nothing but its
   * part in the sums of all users. Resolves once that is done here; `ack: "all"` waits for every member. What is
   * written for the user afterwards is under another key.
   *
   * @throws RegionError `ENCRYPTION_OFF` in a cluster that does not encrypt.
   */
  erase(user: string, options?: WriteOptions): Promise<EraseResult>;
}

/** What became of an erasure. */
export interface EraseResult extends WriteResult {
  /** How far it has come; absent if it was refused. */
  readonly report?: ErasureReport;
}

/** How far an erasure has come. */
export interface ErasureReport {
  /** 32 hexadecimal digits that stand for the user: the same for ever, and without the cluster's seed nobody's name. */
  readonly pseudonym: string;
  /** Keys up to this generation are destroyed. */
  readonly generation: number;
  /**
   * By name, whether it is done there: here, that no key and no checkpoint from before is on the disk; elsewhere, that
   * the member has said that the keys are gone from its disk and its state.
   */
  readonly members: Readonly<Record<string, boolean>>;
}

/** One member of a cluster, opened in this process. */
export interface Region<Signal extends string = string, States extends object = object> {
  readonly name: string;
  readonly id: RegionId;
  readonly role: "member" | "follower";
  readonly sessions: Sessions<Signal, States>;
  readonly users: Users<Signal, States>;
  /** The ledger of signals; see `schema`. */
  readonly signals: RegionSignals<Signal>;
  /**
   * Waits until this region has reached the head of every other member.
   *
   * @throws RegionError `REGION_NOT_READY` at the deadline, `MEMBERSHIP_MISMATCH` at once.
   */
  ready(options?: ResumeOptions): Promise<void>;
  /**
   * Waits until every member holds what this region holds, this region holds what every member reported, and
   * all of it is known to be everywhere. False at the deadline.
   */
  synced(options?: ResumeOptions): Promise<boolean>;
  /** The list of members in force, and who was one. */
  members(): RegionMembers;
  /**
   * Takes another list, of a higher version: it is kept on this disk, and spreads to the other members by itself. Who
   * is left out is removed: its id goes to nobody else, and it ships what only it has before it stops.
   *
   * @throws RegionError `MEMBERSHIP_REFUSED` when it does not follow the one in force, `MEMBERSHIP_MISMATCH` when it is
   * another one of its version.
   */
  setMembers(members: MembersOption): Promise<void>;
  /**
   * Spreads the slots, and with them the users, over another number of shards (1 to 4,096), in every region: the list of
   * members gets the next version, and each region that takes it ends its logs and begins new ones. What was written
   * stays where it was and counts as before; nothing is copied, and writes go on.
   *
   * @throws RegionError `MEMBERSHIP_REFUSED` when another change of the list was quicker: try again.
   */
  moveSlots(shards: number): Promise<void>;
  /** Everybody who was erased, by pseudonym, and where that is done; nobody in a cluster that does not encrypt. */
  erasures(): ErasureReport[];
  health(): RegionHealth;
  /** Numbers, as plain data: positions a log, lag a member, counters since the start. Cheap: none grows with sessions. */
  metrics(): RegionMetrics;
  /** What two regions compare to prove that they are the same: equal `vector` must mean equal `digest`. */
  certificate(): Certificate;
  /** Called for each operation applied here, before the write that caused it resolves. Keep it short. */
  onChange(listener: (change: SessionChange) => void): () => void;
  /**
   * Flushes, acknowledges and releases. Idempotent. The transport is the caller's to close.
   *
   * With `leave` the region first ships what only it, or only it and the writer, has, then retires: the others go on
   * without it.
   *
   * @throws RegionError `LEAVE_FAILED` when it was closed and is a member still.
   */
  close(options?: CloseOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How a region is closed. */
export interface CloseOptions {
  /** Retires the region: it is no member afterwards. @defaultValue false */
  readonly leave?: boolean;
  /** How long leaving may take, in milliseconds. @defaultValue 10,000 */
  readonly timeoutMs?: number;
}

/** The state digest at a vector. */
export interface Certificate {
  /** Log to the last LSN applied, sorted by log. */
  readonly vector: Readonly<Record<string, number>>;
  /** 64 hexadecimal digits. */
  readonly digest: string;
}
