import { effectKey, formatLogId, HideSet, type HideKind, nobleHasher } from "@tidemark/core";
import { decodeOp, EffectIds, HIDE_OF, type OpView, type UnhideKind } from "@tidemark/session";
import { readSignalRecord } from "@tidemark/signals";
import { dumpLog, inspectDirectory, type WalFs } from "@tidemark/wal";
import { exportLine, type ExportRow } from "../src/index.ts";

const ids = new EffectIds(nobleHasher, new Uint8Array(8));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Everything in memory, sorted, once by effect: what an export has to be equal to. Sorted lines. */
export async function naiveExport(
  fs: WalFs,
  dir: string,
  sinceMs: number,
  untilMs: number,
): Promise<string[]> {
  const ops = new Map<string, OpView[]>();
  const alone = new Map<string, ExportRow>();
  const { logs } = await inspectDirectory(fs, dir, { hasher: nobleHasher });
  for (const { id: log } of logs) {
    for await (const { type, body, lsn } of dumpLog(fs, dir, log, {
      hasher: nobleHasher,
      body: "bytes",
    })) {
      if (type === 1) {
        const { effectId, stamp: _, eventTimeMs: timeMs, ...content } = readSignalRecord(body!);
        alone.set(effectId === undefined ? `${formatLogId(log)} ${lsn}` : hex(effectId), {
          kind: "signal",
          ...content,
          timeMs,
        });
      }
      if (type !== 2) continue;
      const op = decodeOp(body!);
      const effect = hex(op.operationBytes ?? ids.keyOf(op));
      ops.set(effect, [...(ops.get(effect) ?? []), op]);
    }
  }
  const rank = (op: OpView): string =>
    [hex(op.stampBytes), op.laneText, String(op.seqno).padStart(16, "0")].join(" ");
  const effects = [...ops].map(([effect, copies]) => ({
    effect,
    copies,
    op: copies.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))[0]!,
  }));
  const users = new Map<string, string>();
  const starts = effects.filter(({ op }) => op.kind === "start").map(({ op }) => op);
  for (const op of starts.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))) {
    if (!users.has(op.session)) users.set(op.session, (op.sealed as { user: string }).user);
  }
  const rows: ExportRow[] = [...alone.values()];
  const hides = new Map<string, HideSet>();
  const hidden: { row: Extract<ExportRow, { kind: HideKind }>; dot: string }[] = [];
  for (const { op, copies, effect } of effects) {
    const { kind, session } = op;
    if (kind === "signal") {
      const { entity, signal, weight, eventTimeMs: timeMs } = op.clear as never as Record<string, never>;
      const user = users.get(session);
      if (user !== undefined)
        rows.push({
          kind,
          entity: entity!,
          signal: signal!,
          weight: weight!,
          timeMs: timeMs!,
          ...op.sealed,
          user,
          session,
        });
    } else if (kind === "hide" || kind === "mute" || kind === "block") {
      const { user, item } = op.sealed as { user: string; item: string };
      const set = hides.get(user) ?? new HideSet();
      hides.set(user, set);
      const dot = effectKey(Uint8Array.from(Buffer.from(effect, "hex")));
      set.hide(kind, item, dot);
      hidden.push({ row: { kind, user, item, timeMs: op.stamp.wallMs }, dot });
    } else if (kind === "unhide" || kind === "unmute" || kind === "unblock") {
      for (const copy of copies) {
        const { user, item } = copy.sealed as { user: string; item: string };
        const set = hides.get(user) ?? new HideSet();
        hides.set(user, set);
        const dots = (copy.clear as { dots: Uint8Array[] }).dots.map((dot) => effectKey(dot));
        const id = effectKey(ids.keyOf(copy));
        set.unhide(HIDE_OF[kind as UnhideKind], item, dots, id);
        set.settle(id);
      }
    }
  }
  const inRange = rows.filter((row) => row.timeMs >= sinceMs && row.timeMs < untilMs);
  const live = hidden.filter(({ row, dot }) =>
    hides.get(row.user)!.observed(row.kind, row.item).includes(dot),
  );
  return [...inRange, ...live.map(({ row }) => row)].map(exportLine).sort();
}
