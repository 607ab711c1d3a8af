import type { DirectoryFiles } from "../src/index.ts";
import { hasher } from "./recorded.ts";

/** A record as a log holds it. */
export interface PlantedRecord {
  readonly type: number;
  readonly body: Uint8Array;
}

const HEADER_BYTES = 64;

/** Writes the only segment of a log anew, with other records, each in a batch of its own: whole and chained. */
export function rewriteLog(
  files: DirectoryFiles,
  log: string,
  edit: (records: PlantedRecord[]) => readonly PlantedRecord[],
): DirectoryFiles {
  const prefix = log.replace(":", "/");
  const path = Object.keys(files).find((name) => name.startsWith(prefix) && name.endsWith(".wal"))!;
  const { header, records } = recordsOf(files[path]!);
  let previous = new Uint8Array(16);
  const batches = edit(records).map(({ type, body }, index) => {
    const length = varint(1 + body.length);
    const batch = new Uint8Array(HEADER_BYTES + length.length + 1 + body.length);
    batch.set(header);
    const view = new DataView(batch.buffer);
    view.setBigUint64(8, BigInt(index + 1), true);
    view.setUint32(16, 1, true);
    view.setUint32(20, batch.length - HEADER_BYTES, true);
    batch.set(previous, 32);
    batch.set(length, HEADER_BYTES);
    batch[HEADER_BYTES + length.length] = type;
    batch.set(body, HEADER_BYTES + length.length + 1);
    const hashed = Buffer.concat([batch.subarray(0, 48), batch.subarray(HEADER_BYTES)]);
    previous = Uint8Array.from(hasher.digest("tidemark 2026 wal-batch v2", hashed, 16));
    batch.set(previous, 48);
    return batch;
  });
  return { ...files, [path]: Uint8Array.from(Buffer.concat(batches)) };
}

function recordsOf(bytes: Uint8Array): { header: Uint8Array; records: PlantedRecord[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: PlantedRecord[] = [];
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const end = at + HEADER_BYTES + view.getUint32(at + 20, true);
    for (let from = at + HEADER_BYTES; from < end;) {
      let length = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[from++]!;
        length |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
      records.push({ type: bytes[from]!, body: bytes.slice(from + 1, from + length) });
      from += length;
    }
    at = end;
  }
  return { header: bytes.slice(0, HEADER_BYTES), records };
}

function varint(value: number): Uint8Array {
  return value < 0x80 ? Uint8Array.of(value) : Uint8Array.of((value & 0x7f) | 0x80, value >> 7);
}
