import { formatLogId } from "@tidemark/core";
import type { CoverageNeed } from "@tidemark/replication";
import { RECORD_SESSION_OP } from "@tidemark/session-bridge";
import { decodeOp } from "@tidemark/session";
import type { SessionChange } from "@tidemark/session";
import type { Log, Wal, WalBatch } from "@tidemark/wal";

/** What a stream of changes needs. */
export interface SessionChangesOptions {
  readonly session: string;
  readonly wal: Wal;
  /** Tells of each operation applied from now on. */
  readonly onChange: (listener: (change: SessionChange) => void) => () => void;
  /** Begins behind these positions; without them, from now on. */
  readonly after?: CoverageNeed;
  readonly signal?: AbortSignal;
  /** Ends every stream of the region. */
  readonly closed: AbortSignal;
}

/**
 * Yields every operation of one session, log by log in the order of its LSNs, then waits for more. It reads the
 * stored logs, so a slow reader costs no memory; what a cursor left out because every member had it may come again.
 */
export async function* sessionChanges(options: SessionChangesOptions): AsyncGenerator<SessionChange, void, undefined> {
  const { session, wal, after, signal, closed } = options;
  signal?.throwIfAborted();
  const next = new Map<string, number>();
  if (after === undefined) for (const log of sessionLogs(wal)) next.set(formatLogId(log.id), log.durable.lsn + 1);
  let wake = (): void => undefined;
  let dirty = true;
  const stop = options.onChange((change) => {
    if (change.session !== session) return;
    dirty = true;
    wake();
  });
  const ended = (): void => wake();
  signal?.addEventListener("abort", ended);
  closed.addEventListener("abort", ended);
  try {
    for (;;) {
      while (dirty) {
        dirty = false;
        for (const log of sessionLogs(wal)) {
          const name = formatLogId(log.id);
          const from = next.get(name) ?? startOf(log, after);
          const to = log.durable.lsn;
          if (from > to) continue;
          next.set(name, to + 1);
          for await (const batch of log.read(Math.max(from, log.first))) {
            yield* changesOf(batch, session, from, to);
            if (batch.lastLsn >= to) break;
          }
        }
      }
      signal?.throwIfAborted();
      if (closed.aborted) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (dirty || signal?.aborted === true || closed.aborted) resolve();
      });
    }
  } finally {
    stop();
    signal?.removeEventListener("abort", ended);
    closed.removeEventListener("abort", ended);
  }
}

function sessionLogs(wal: Wal): Log[] {
  return wal.logs().filter(({ id }) => id.channel === "sessions");
}

function startOf(log: Log, after: CoverageNeed | undefined): number {
  const entry = after?.find(({ region, epoch }) => region === log.id.region && epoch === log.id.epoch);
  return (entry?.lsn ?? 0) + 1;
}

function* changesOf(batch: WalBatch, session: string, from: number, to: number): Iterable<SessionChange> {
  for (const { lsn, type, body } of batch.records()) {
    if (type !== RECORD_SESSION_OP || lsn < from || lsn > to) continue;
    const op = decodeOp(body);
    if (op.session !== session) continue;
    yield {
      session,
      kind: op.kind ?? "unknown",
      position: { session, lane: op.laneText, seqno: op.seqno },
      log: batch.log,
      lsn,
    };
  }
}
