import { ByteReader, ByteWriter } from "@tidemark/core";
import { decoding } from "./decoding.ts";

/** Bytes that name one snapshot: the end of its own digest. */
export const SNAPSHOT_ID_BYTES = 16;

/** Where a transfer goes on: which snapshot, and how much of it is there. */
export interface SnapshotToken {
  readonly id: Uint8Array;
  readonly offset: number;
}

/** A piece of a snapshot, and what it is a piece of. `bytes` is a view. */
export interface SnapshotPart extends SnapshotToken {
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

/** The resume token: nothing to begin; else the snapshot's id 16 and the offset varint. */
export function encodeSnapshotToken(token: SnapshotToken | undefined): Uint8Array {
  if (token === undefined) return new Uint8Array(0);
  const writer = new ByteWriter(SNAPSHOT_ID_BYTES + 9);
  writer.raw(token.id);
  writer.varint(token.offset);
  return writer.take();
}

/** The inverse of {@link encodeSnapshotToken}. @throws `ReplicationError` `MESSAGE_MALFORMED`. */
export function decodeSnapshotToken(bytes: Uint8Array): SnapshotToken | undefined {
  if (bytes.length === 0) return undefined;
  return decoding("a resume token", () => {
    const reader = new ByteReader(bytes);
    const id = reader.view(SNAPSHOT_ID_BYTES).slice();
    const offset = reader.varint();
    reader.finish();
    return { id, offset };
  });
}
