import { logId } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import fc from "fast-check";
import type { Ack } from "../src/index.ts";

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

export const anyLogId: fc.Arbitrary<ReturnType<typeof logId>> = fc
  .tuple(
    fc.nat(0xffff),
    fc.nat(0xffff),
    fc.nat(0xffff_ffff),
    fc.constantFrom("signals" as const, "sessions" as const),
  )
  .map((parts) => logId(...parts));

export const anyVector: fc.Arbitrary<Vector> = fc
  .array(fc.record({ log: anyLogId, lsn: fc.maxSafeNat(), digest: bytes(8) }), { maxLength: 8 })
  .map((entries) => Vector.of(entries));

export const anyAck: fc.Arbitrary<Ack> = fc.record({
  epoch: fc.nat(0xffff_ffff),
  membershipVersion: fc.nat(0xffff_ffff),
  foldVersion: fc.nat(0xffff),
  vector: anyVector,
});

export const anyBytes: typeof bytes = bytes;
