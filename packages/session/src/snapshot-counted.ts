import { type ByteReader, type ByteWriter } from "@tidemark/core";
import { decodeOp } from "./op-view.ts";
import type { SessionFold } from "./session-fold.ts";

/**
 * Effects that count although an operation of theirs cannot be folded here: another copy could be. When the first can be
 * too, it must not count again. Varint count, ascending: effect varint.
 */
export function writeCounted(
  writer: ByteWriter,
  fold: SessionFold,
  { effects }: { readonly effects: Readonly<Record<number, number>> },
): void {
  const counted = new Set<number>();
  for (const { unknown } of fold.inMemory()) {
    for (const bytes of unknown.values()) {
      const index = effectOf(fold, bytes);
      if (index !== undefined && !fold.unfolded.has(index)) counted.add(effects[index] as number);
    }
  }
  if (counted.size === 0) return;
  writer.varint(counted.size);
  for (const effect of [...counted].sort((a, b) => a - b)) writer.varint(effect);
}

/** Reads what {@link writeCounted} wrote. @throws {@link CoreError} `DECODE_FAILED`. */
export function readCounted(reader: ByteReader, fold: SessionFold): void {
  for (let left = reader.count(1); left > 0; left--) {
    if (!fold.unfolded.delete(reader.varint())) reader.fail("Cannot accept an effect that nothing waits for");
  }
}

function effectOf(fold: SessionFold, bytes: Uint8Array): number | undefined {
  const { operation } = decodeOp(bytes);
  if (operation === undefined) return undefined;
  const index = fold.effects.find(operation.tag, operation.digest);
  return typeof index === "number" ? index : undefined;
}
