// P6: the session operation codec against msgpackr with shared structures, one signal operation.
import assert from "node:assert/strict";
import { ByteWriter } from "../../packages/core/dist/index.js";
import { decodeOp, encodeOp } from "../../packages/session/dist/index.js";
import { bound, compare, peer, rate } from "../harness.mjs";

export const ROWS = ["P6"];

const COUNT = 1000;

export async function run() {
  const msgpackr = await peer("msgpackr");
  const plain = Array.from({ length: COUNT }, (_, index) => ({
    kind: "signal",
    session: "0b7e4c1e-5a0c-4f2e-9a44-6f1f3f9d2a10",
    region: 1,
    epoch: 1_790_000_000,
    seqno: index + 1,
    wallMs: 1_790_000_000_000 + index,
    counter: index % 7,
    clockId: 1,
    entity: `item-${index % 100}`,
    signal: "save",
    weight: 1 + (index % 5) / 4,
    eventTimeMs: 1_790_000_000_000 + index,
  }));
  const ops = plain.map((op) => ({
    kind: op.kind,
    session: op.session,
    lane: { region: op.region, epoch: op.epoch },
    seqno: op.seqno,
    stamp: { wallMs: op.wallMs, counter: op.counter, clockId: op.clockId },
    userKey: 0,
    clear: { entity: op.entity, signal: op.signal, weight: op.weight, eventTimeMs: op.eventTimeMs },
    sealed: {},
  }));
  const writer = new ByteWriter(1 << 20);
  const encoded = ops.map((op) => {
    writer.reset();
    encodeOp(writer, op);
    return writer.take();
  });
  const packr = msgpackr && new msgpackr.Packr({ structures: [] });
  const packed = packr && plain.map((op) => Uint8Array.prototype.slice.call(packr.pack(op)));
  let sink = 0;

  const first = decodeOp(encoded[3]);
  assert.equal(first.seqno, 4);

  const lines = await compare({
    row: "P6",
    work: "operation codec, encode",
    unit: "ops/s",
    variants: {
      tidemark: () =>
        rate(() => {
          writer.reset();
          for (const op of ops) encodeOp(writer, op);
          sink += writer.length;
        }, COUNT),
      ...(packr && {
        "msgpackr, shared structures": () =>
          rate(() => {
            for (const op of plain) sink += packr.pack(op).length;
          }, COUNT),
      }),
    },
    goals: { "msgpackr, shared structures": 2.5 },
  });
  lines.push(
    ...(await compare({
      row: "P6",
      work: "operation codec, decode",
      unit: "ops/s",
      variants: {
        tidemark: () =>
          rate(() => {
            for (const bytes of encoded) {
              const op = decodeOp(bytes);
              sink += op.seqno + op.clear.weight + op.clear.entity.length;
            }
          }, COUNT),
        ...(packr && {
          "msgpackr, shared structures": () =>
            rate(() => {
              for (const bytes of packed) {
                const op = packr.unpack(bytes);
                sink += op.seqno + op.weight + op.entity.length;
              }
            }, COUNT),
        }),
      },
      goals: { "msgpackr, shared structures": 1.5 },
    })),
  );
  const bytes = encoded.reduce((sum, one) => sum + one.length, 0) / COUNT;
  if (packed) {
    const theirs = packed.reduce((sum, one) => sum + one.length, 0) / COUNT;
    lines.push(bound({ row: "P6", work: `operation codec, bytes (msgpackr: ${theirs.toFixed(1)})`, unit: "B/op", name: "tidemark", value: bytes, goal: Math.round(theirs * 0.7 * 10) / 10 }));
  }
  if (sink === 0) throw new Error("nothing was measured");
  return lines;
}
