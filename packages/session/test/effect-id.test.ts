import { readFileSync } from "node:fs";
import { ByteWriter, HASH_CONTEXTS, nobleHasher } from "@tidemark/core";
import { expect, test } from "vitest";
import { EffectIds } from "../src/effect-id.ts";
import { decodeOp, type OpRequest, writeRequest } from "../src/index.ts";
import { hex } from "./history.ts";

interface Vectors {
  readonly clusterId: string;
  readonly idempotencyKeys: readonly {
    readonly operation: string;
    readonly preimage: string;
    readonly key: string;
  }[];
  readonly operationTags: readonly {
    readonly session: string;
    readonly operationId: string;
    readonly preimage: string;
    readonly tag: string;
  }[];
  readonly requestDigests: readonly {
    readonly request: OpRequest;
    readonly requestBytes: string;
    readonly preimage: string;
    readonly digest: string;
  }[];
}

const VECTORS = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8")) as Vectors;
const clusterId = bytesOf(VECTORS.clusterId);
const ids = new EffectIds(nobleHasher, clusterId);

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

/** Each field as u32-LE length and bytes: written as plainly as it can be. */
function fields(...all: readonly (Uint8Array | string)[]): Buffer {
  return Buffer.concat(
    all.map((field) => {
      const bytes = Buffer.from(field as Uint8Array);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return Buffer.concat([length, bytes]);
    }),
  );
}

test("SES-3 the published vectors of the idempotency key", () => {
  for (const { operation, preimage, key } of VECTORS.idempotencyKeys) {
    const op = decodeOp(bytesOf(operation));
    const seqno = Buffer.alloc(8);
    seqno.writeBigUInt64LE(BigInt(op.seqno));
    const body = fields(Uint8Array.of(op.kindCode), op.stampBytes, op.clearBytes, op.sealedBytes);
    expect(hex(fields(op.session, op.laneBytes, seqno, body))).toBe(preimage);
    expect(hex(nobleHasher.digest(HASH_CONTEXTS.idempotencyKey, bytesOf(preimage), 16))).toBe(key);
    expect(hex(ids.keyOf(op))).toBe(key);
  }
});

test("SES-5 the published vectors of the operation tag", () => {
  for (const { session, operationId, preimage, tag } of VECTORS.operationTags) {
    expect(hex(fields(clusterId, session, operationId))).toBe(preimage);
    expect(hex(nobleHasher.digest(HASH_CONTEXTS.operationTag, bytesOf(preimage), 8))).toBe(tag);
    expect(hex(ids.operationTag(session, operationId))).toBe(tag);
  }
});

test("SES-5 the published vectors of the request digest", () => {
  for (const { request, requestBytes, preimage, digest } of VECTORS.requestDigests) {
    const writer = new ByteWriter();
    writeRequest(writer, request);
    expect(hex(writer.take())).toBe(requestBytes);
    expect(hex(fields(clusterId, writer.take()))).toBe(preimage);
    expect(hex(nobleHasher.digest(HASH_CONTEXTS.request, bytesOf(preimage), 8))).toBe(digest);
    expect(hex(ids.requestDigest(writer.view()))).toBe(digest);
  }
});

test("SES-3 everything an operation says is in its key, and where it stands", () => {
  const op = bytesOf(VECTORS.idempotencyKeys[0]!.operation);
  const keys = new Set([hex(ids.keyOf(decodeOp(op)))]);
  // Kind, session, lane's region, seqno, stamp, last byte of a part.
  const at = [1, 4, 4 + op[3]! + 1, 4 + op[3]! + 7, 4 + op[3]! + 12, op.length - 1];
  for (const offset of at) {
    const changed = op.slice();
    changed[offset] = changed[offset]! ^ 2;
    keys.add(hex(ids.keyOf(decodeOp(changed))));
  }
  expect(keys.size).toBe(at.length + 1);
});
