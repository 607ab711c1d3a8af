import { CoreError, formatLogId, type Hasher } from "@tidemark/core";
import {
  CURSOR_ENTRIES_MAX,
  encodeCursor,
  inspectCursor,
  OpView,
  type TokenPosition,
} from "@tidemark/session";
import { RECORD_SESSION_OP } from "@tidemark/session-bridge";
import { forEachRecord, readStoredLogs, type WalFs } from "@tidemark/wal";
import { unsealOf, type Unseal } from "./unseal.ts";

/** One operation of a session, as a log holds it: plain values that JSON can hold. */
export interface SessionRow {
  /** `formatLogId` of the log. */
  readonly log: string;
  readonly lsn: number;
  /** What it is, such as `hide`; of a kind this version does not know, its number. */
  readonly kind: string;
  /** Whose numbered sequence it is of, and its number there. */
  readonly lane: string;
  readonly seqno: number;
  /** When it was accepted, Unix milliseconds. */
  readonly timeMs: number;
  /** What it says, if that was asked for and can be read. */
  readonly content: Readonly<Record<string, unknown>> | null;
  /** To go on behind this row; not signed, so that only tools take it. `null` where it would name too many logs. */
  readonly cursor: string | null;
}

/** What {@link readSessionRows} reads. */
export interface SessionRowsOptions {
  readonly session: string;
  /** A cursor of the session, of a region or of a row: what lies behind it is read. @defaultValue everything that is held */
  readonly after?: string;
  /** Rows at most, the latest. @defaultValue 1,000 */
  readonly rowsMax?: number;
  /** Whether to give what operations say: personal data. @defaultValue false */
  readonly content?: boolean;
  readonly signal?: AbortSignal;
}

/** What {@link readSessionRows} found. */
export interface SessionRows {
  readonly rows: readonly SessionRow[];
  /** Records that should be operations and are none: they may be of the session. */
  readonly malformed: number;
}

const ROWS_MAX = 1_000;
const NO_CLUSTER = new Uint8Array(8);
/** Kinds whose sealed part carries the state of other sessions. */
const CARRIERS: ReadonlySet<string> = new Set(["fork", "merge"]);

/** An operation that was found, and where. */
interface Found {
  readonly op: OpView;
  readonly log: string;
  readonly position: TokenPosition;
}

/**
 * The operations of one session that the logs of a directory hold, in the order of their stamps. Nothing is changed, and a
 * region may run on the directory meanwhile: what it writes next lies behind the last row's cursor.
 *
 * @throws SessionError `CURSOR_MALFORMED`, `CURSOR_WRONG_SESSION`.
 * @throws WalError `WAL_NOT_HELD` if there are no logs, `WAL_CORRUPT` at damage; the signal's reason.
 */
export async function readSessionRows(
  { fs, dir, hasher }: { readonly fs: WalFs; readonly dir: string; readonly hasher: Hasher },
  { session, after, rowsMax = ROWS_MAX, content = false, signal }: SessionRowsOptions,
): Promise<SessionRows> {
  const seen = new Map<string, number>();
  if (after !== undefined) {
    for (const { region, epoch, lsn } of inspectCursor(after, { session, hasher }).entries)
      seen.set(`${region}/${epoch}`, lsn);
  }
  const reading = signal === undefined ? {} : { signal };
  const found: Found[] = [];
  let malformed = 0;
  for (const view of await readStoredLogs(fs, dir, { hasher, ...reading })) {
    const { region, epoch, channel } = view.id;
    if (channel !== "sessions") continue;
    const log = formatLogId(view.id);
    const behind = seen.get(`${region}/${epoch}`) ?? 0;
    for await (const batch of view.read(reading)) {
      let lsn = batch.firstLsn - 1;
      forEachRecord(batch, (type, bytes, start, end) => {
        lsn += 1;
        if (type !== RECORD_SESSION_OP || lsn <= behind) return;
        const op = opOf(bytes.slice(start, end));
        if (op === undefined) malformed += 1;
        else if (op.session === session) found.push({ op, log, position: { region, epoch, lsn } });
      });
    }
  }
  found.sort(byStamp);
  const unseal = content ? await unsealOf(fs, dir, hasher) : () => false;
  const positions = new Map([...seen].map(([key, lsn]) => [key, { ...placeOf(key), lsn }]));
  const placed = found.map(({ op, log, position }) => {
    const key = `${position.region}/${position.epoch}`;
    const lsn = Math.max(position.lsn, positions.get(key)?.lsn ?? 0);
    positions.set(key, { ...position, lsn });
    return { op, log, position, entries: [...positions.values()] };
  });
  const rows = placed.slice(-rowsMax).map(({ op, log, position: { lsn }, entries }) => ({
    log,
    lsn,
    kind: op.kind ?? `${op.kindCode}`,
    lane: op.laneText,
    seqno: op.seqno,
    timeMs: op.stamp.wallMs,
    content: content ? contentOf(op, unseal) : null,
    cursor:
      entries.length > CURSOR_ENTRIES_MAX
        ? null
        : encodeCursor({ session, entries, clusterId: NO_CLUSTER, hasher }),
  }));
  return { rows, malformed };
}

function opOf(bytes: Uint8Array): OpView | undefined {
  try {
    return new OpView(bytes);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

function placeOf(key: string): { readonly region: number; readonly epoch: number } {
  const [region, epoch] = key.split("/").map(Number) as [number, number];
  return { region, epoch };
}

/** By stamp, then by lane and number, which no two operations share. */
function byStamp({ op: a }: Found, { op: b }: Found): number {
  return (
    a.stamp.wallMs - b.stamp.wallMs ||
    a.stamp.counter - b.stamp.counter ||
    a.stamp.clockId - b.stamp.clockId ||
    (a.laneText < b.laneText ? -1 : a.laneText > b.laneText ? 1 : a.seqno - b.seqno)
  );
}

/** What an operation says, as far as this version knows it and a key is there. */
function contentOf(op: OpView, unseal: Unseal): Readonly<Record<string, unknown>> | null {
  if (op.kind === undefined || !(op.readable || unseal(op))) return null;
  const said = CARRIERS.has(op.kind) ? { ...op.clear } : { ...op.clear, ...op.sealed };
  return JSON.parse(JSON.stringify(said, plainValue)) as Record<string, unknown>;
}

/** Bytes as hexadecimal text. */
function plainValue(_: string, value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
