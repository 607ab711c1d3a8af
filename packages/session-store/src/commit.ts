import { attachmentRecord, decideStamp } from "./attachment-rows.ts";
import type { KvItem, KvKey } from "@tidemark/kv";
import { componentMissing, refsOf } from "./checkpoint.ts";
import type { Decision } from "./decision.ts";
import { SessionStoreError } from "./errors.ts";
import { resolveGraph } from "./graph-delta.ts";
import type { HeadRecord } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { decideReleaseLease, leaseRecord, type LeaseRecord, requireLive } from "./lease.ts";
import type { PreparedCommit } from "./prepare-commit.ts";
import type { CommitSnapshot } from "./read-commit.ts";
import type { RecordContext } from "./records.ts";
import { requireOpen, requireReadable } from "./session-gate.ts";
import { decideSettle } from "./settle-work.ts";
import type { TurnCommit, TurnCommitResult, TurnResult, TurnStamp } from "./turn-commit.ts";
import { TURN_PROJECTION_VERSION } from "./turn-hash.ts";
import { type TurnRecord, turnPuts, turnResult } from "./turn-record.ts";
import { workChangeRows } from "./work-rows.ts";

/** How much one commit may write. */
export interface CommitBudget {
  /** Keys and values of all records it writes. */
  readonly bytesMax: number;
  /** Records it writes or deletes. */
  readonly operationsMax: number;
}

/** What a commit is decided in. */
export interface CommitPlace {
  /** The session the store is bound to. */
  readonly session: string;
  readonly records: RecordContext;
  readonly budget: CommitBudget;
}

/**
 * Decides a commit. Of several errors the first of this order counts:
 *
 * 1. the store is bound to another session: `SESSION_BINDING_MISMATCH`; the session is not there: `SESSION_UNKNOWN`,
 *    `SESSION_DELETED`;
 * 2. the stamp is of another session: `TURN_COMMIT_CONFLICT`;
 * 3. the turn was committed earlier: with this content its result is the answer and nothing is applied, but the lease is
 *    released if that is asked for; with other content `TURN_COMMIT_CONFLICT`;
 * 4. the session is archived: `SESSION_ARCHIVED`; the lease is not given or not live: `LEASE_EXPIRED`;
 * 5. the head is not the one expected: `HEAD_CONFLICT`;
 * 6. a claim is no longer owned: `CLAIM_EXPIRED`;
 * 7. what is to be written: `NODE_COLLISION`, `NODE_PARENT_UNKNOWN`, `LEAF_UNRESOLVABLE`, `COMPONENT_MISSING`,
 *    `COMMIT_TOO_LARGE`.
 */
export function decideCommit(
  snapshot: CommitSnapshot,
  prepared: PreparedCommit,
  place: CommitPlace,
  nowMs: number,
): Decision<TurnCommitResult> {
  const { outcome, result, puts, released, deletes } = decideTurn(snapshot, prepared, place, nowMs);
  return {
    checks: snapshot.checks,
    puts: [...puts, ...released],
    deletes,
    result: { outcome, ...result },
  };
}

/** What a turn comes to: the rows it writes, and the record of it that travels, unless it was committed earlier. */
export interface TurnDecision {
  readonly outcome: TurnCommitResult["outcome"];
  readonly result: TurnResult;
  readonly puts: readonly KvItem[];
  readonly deletes: readonly KvKey[];
  /** The row of the lease, if it is released with it. */
  readonly released: readonly KvItem[];
  /** Absent from one that was committed earlier. */
  readonly record?: TurnRecord;
  /** Ids of the work it answers. */
  readonly settled: readonly string[];
}

/** Decides a turn, as {@link decideCommit} says. */
export function decideTurn(
  snapshot: CommitSnapshot,
  prepared: PreparedCommit,
  { session, records, budget }: CommitPlace,
  nowMs: number,
): TurnDecision {
  const { commit, hash } = prepared;
  const { gate, lease, head, turn } = snapshot;
  requireBound(commit.session, session);
  requireReadable(gate, session);
  if (commit.turn !== undefined && commit.turn.session !== session) throw turnConflict(commit.turn);
  const released = releasePuts(commit, lease, records);
  if (turn !== undefined) {
    if (turn.hash !== hash || turn.projection !== TURN_PROJECTION_VERSION) throw turnConflict(commit.turn!);
    return { outcome: "replayed", result: turn.result, puts: [], deletes: [], released, settled: [] };
  }
  requireOpen(gate, session);
  const { generation } = requireCommitLease(commit, lease, nowMs);
  requireHead(commit, head);
  const settled = settledRows(snapshot, commit, nowMs, records);
  const record = turnRecordOf(snapshot, prepared, generation, nowMs);
  const { head: next, puts } = turnPuts(head, record, records);
  const written = [...puts, ...settled.puts, ...stampPuts(snapshot, nowMs, records)];
  requireBudget([...written, ...released], settled.deletes, budget);
  return {
    outcome: "committed",
    result: turnResult(next),
    puts: written,
    deletes: settled.deletes,
    released,
    record,
    settled: settled.ids,
  };
}

/** @throws {@link SessionStoreError} `SESSION_BINDING_MISMATCH` with both ids */
function requireBound(attempted: string, bound: string): void {
  if (attempted === bound) return;
  throw new SessionStoreError(
    "SESSION_BINDING_MISMATCH",
    `Cannot commit to session ${attempted}: the store is bound to ${bound}`,
    { bound, attempted },
  );
}

function requireCommitLease(
  { session, lease: fence }: TurnCommit,
  lease: LeaseRecord | undefined,
  nowMs: number,
) {
  if (fence !== undefined) return requireLive(lease, fence, nowMs);
  throw new SessionStoreError(
    "LEASE_EXPIRED",
    `Cannot commit to session ${session}: the commit names no lease`,
    { session },
  );
}

function requireHead({ session, expected = "absent" }: TurnCommit, head: HeadRecord | undefined): void {
  const actual = head?.revision ?? "absent";
  if (expected === "any" || expected === actual) return;
  throw new SessionStoreError(
    "HEAD_CONFLICT",
    `Cannot commit to session ${session}: its head is ${actual}, expected was ${expected}`,
    { session, expected, actual },
  );
}

/** The rows of work that the commit completes. @throws {@link SessionStoreError} `CLAIM_EXPIRED` */
function settledRows(
  { settle, lease }: CommitSnapshot,
  { completed = [] }: TurnCommit,
  nowMs: number,
  records: RecordContext,
): { readonly puts: KvItem[]; readonly deletes: KvKey[]; readonly ids: readonly string[] } {
  if (settle === undefined) return { puts: [], deletes: [], ids: [] };
  const change = decideSettle({ ...settle, lease }, completed, nowMs);
  return { ...workChangeRows(change, records), ids: (change.settled ?? []).map(({ id }) => id) };
}

/** The rows of attachments that get their stamp. Ids without a row are ignored: a commit inserts none. */
function stampPuts({ attachments }: CommitSnapshot, nowMs: number, records: RecordContext): KvItem[] {
  const { rows } = decideStamp([...attachments.values()], [...attachments.keys()], nowMs);
  return rows.map((row) => attachmentRecord.item(row, sessionKeys.attachment(row.id), records));
}

function turnRecordOf(
  { head, nodes, parts }: CommitSnapshot,
  { commit, frames, checkpoint, bodies, hash }: PreparedCommit,
  generation: number,
  committedAtMs: number,
): TurnRecord {
  const graph = resolveGraph(commit.graph, head, nodes);
  for (const [ref, stored] of parts) if (!stored) throw componentMissing(ref);
  const kept = new Set(refsOf(head?.checkpoint?.manifest));
  const parentRevision = head?.revision ?? 0;
  const { session, config, currentFrame, usage = [], completed = [], attachments = [], turn } = commit;
  return {
    session,
    hash,
    projection: TURN_PROJECTION_VERSION,
    parentRevision,
    revision: parentRevision + 1,
    generation,
    committedAtMs,
    config,
    frames,
    graph,
    // What the head names is stored already.
    bodies: new Map([...bodies].filter(([ref]) => !kept.has(ref))),
    usage,
    completed,
    attachments,
    ...(turn === undefined ? {} : { turn: turn.turn }),
    ...(currentFrame === undefined ? {} : { currentFrame }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

function releasePuts(commit: TurnCommit, lease: LeaseRecord | undefined, records: RecordContext): KvItem[] {
  if (!commit.release || commit.lease === undefined) return [];
  const { write } = decideReleaseLease(lease, commit.lease);
  return write === undefined ? [] : [leaseRecord.item(write, sessionKeys.lease, records)];
}

function requireBudget(puts: readonly KvItem[], deletes: readonly KvKey[], budget: CommitBudget): void {
  let bytes = 0;
  for (const { key, value } of puts) bytes += key.length + value.length;
  for (const key of deletes) bytes += key.length;
  if (bytes > budget.bytesMax) throw tooLarge("bytes", budget.bytesMax, bytes);
  const operations = puts.length + deletes.length;
  if (operations > budget.operationsMax) throw tooLarge("operations", budget.operationsMax, operations);
}

function tooLarge(unit: string, limit: number, actual: number): SessionStoreError {
  return new SessionStoreError(
    "COMMIT_TOO_LARGE",
    `Cannot commit ${actual} ${unit} at once: the limit is ${limit}`,
    { limit, actual },
  );
}

function turnConflict({ session, turn }: TurnStamp): SessionStoreError {
  return new SessionStoreError(
    "TURN_COMMIT_CONFLICT",
    `Turn ${turn} of session ${session} was committed with other content`,
    { session, turn },
  );
}
