// P6: the session operation codec against msgpackr with shared structures, signals of 100 sessions.
import assert from "node:assert/strict";
import { ByteWriter } from "../../packages/core/dist/index.js";
import { decodeOp, encodeOp } from "../../packages/session/dist/index.js";
import { bound, bytesOf, compare, peer, rate, seeded } from "../harness.mjs";

export const ROWS = ["P6"];

const COUNT = 1000;
const SESSIONS = 100;
const COLD = 20_000;
const START_MS = 1_790_000_000_000;

export async function run() {
  const msgpackr = await peer("msgpackr");
  const random = seeded(6);
  const sessions = Array.from({ length: SESSIONS }, () => uuid(random));
  const ops = Array.from({ length: COUNT }, (_, index) => ({
    kind: "signal",
    session: sessions[Math.floor(random() * SESSIONS)],
    lane: { region: 1, epoch: 1_790_000_000 },
    seqno: index + 1,
    stamp: { wallMs: START_MS + index, counter: index % 7, clockId: 1 },
    userKey: 0,
    clear: {
      entity: `item-${Math.floor(random() * 1000)}`,
      signal: "save",
      weight: 1 + (index % 5) / 4,
      eventTimeMs: START_MS + index - Math.floor(random() * 500),
    },
    sealed: {},
  }));
  // The peer's record is flat: that is what it is quickest with.
  const plain = ops.map(({ kind, session, lane, seqno, stamp, clear }) => ({
    kind,
    session,
    ...lane,
    seqno,
    ...stamp,
    ...clear,
  }));
  const writer = new ByteWriter(1 << 20);
  const encoded = ops.map((op) => {
    writer.reset();
    encodeOp(writer, op);
    return writer.take();
  });
  const packr = msgpackr && new msgpackr.Packr({ structures: [] });
  const packed = packr && plain.map((op) => Uint8Array.prototype.slice.call(packr.pack(op)));

  const whole = (bytes) => {
    const op = decodeOp(bytes);
    const { lane, stamp, clear } = op;
    return {
      kind: op.kind,
      session: op.session,
      region: lane.region,
      epoch: lane.epoch,
      seqno: op.seqno,
      wallMs: stamp.wallMs,
      counter: stamp.counter,
      clockId: stamp.clockId,
      entity: clear.entity,
      signal: clear.signal,
      weight: clear.weight,
      eventTimeMs: clear.eventTimeMs,
    };
  };
  plain.forEach((op, index) => {
    assert.deepEqual(whole(encoded[index]), op);
    if (packed) assert.deepEqual({ ...packr.unpack(packed[index]) }, op);
  });

  let sink = 0;
  const peerName = "msgpackr, shared structures";
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
        [peerName]: () =>
          rate(() => {
            let sum = 0;
            for (const op of plain) sum += packr.pack(op).length;
            sink += sum;
          }, COUNT),
      }),
    },
    goals: { [peerName]: 2.5 },
  });
  const unpack = packr && {
    [peerName]: () =>
      rate(() => {
        let sum = 0;
        for (const bytes of packed) {
          const op = packr.unpack(bytes);
          sum += op.seqno + op.weight + op.session.length;
        }
        sink += sum;
      }, COUNT),
  };
  lines.push(
    ...(await compare({
      row: "P6",
      work: "operation codec, decode every field, 100 sessions in turn",
      unit: "ops/s",
      variants: {
        tidemark: () =>
          rate(() => {
            let sum = 0;
            for (const bytes of encoded) {
              const op = whole(bytes);
              sum += op.seqno + op.weight + op.session.length;
            }
            sink += sum;
          }, COUNT),
        ...unpack,
      },
      goals: { [peerName]: 1.5 },
    })),
    ...(await compare({
      row: "P6",
      work: "operation codec, open and read number, entity and weight (lazy view)",
      unit: "ops/s",
      variants: {
        tidemark: () =>
          rate(() => {
            let sum = 0;
            for (const bytes of encoded) {
              const op = decodeOp(bytes);
              sum += op.seqno + op.clear.weight + op.clear.entity.length;
            }
            sink += sum;
          }, COUNT),
        ...unpack,
      },
    })),
  );
  // Ids that no table of recent ones can hold: what a decoder meets when every operation is of another session.
  const cold = Array.from({ length: COLD }, (_, index) => {
    const op = ops[index % COUNT];
    return { ...op, session: uuid(random), seqno: index + 1 };
  });
  const coldEncoded = cold.map((op) => {
    writer.reset();
    encodeOp(writer, op);
    return writer.take();
  });
  const coldPacked =
    packr &&
    cold.map((op, index) =>
      Uint8Array.prototype.slice.call(
        packr.pack({ ...plain[index % COUNT], session: op.session, seqno: op.seqno }),
      ),
    );
  cold.forEach((op, index) => {
    assert.equal(whole(coldEncoded[index]).session, op.session);
    if (coldPacked) assert.equal(packr.unpack(coldPacked[index]).session, op.session);
  });
  const drain = (list, read) => () => {
    let sum = 0;
    for (const bytes of list) {
      const op = read(bytes);
      sum += op.seqno + op.weight + op.session.length;
    }
    sink += sum;
  };
  lines.push(
    ...(await compare({
      row: "P6",
      work: "operation codec, decode every field, 20,000 sessions with one operation each",
      unit: "ops/s",
      variants: {
        tidemark: () => rate(drain(coldEncoded, whole), COLD),
        ...(packr && {
          [peerName]: () =>
            rate(
              drain(coldPacked, (bytes) => packr.unpack(bytes)),
              COLD,
            ),
        }),
      },
      goals: { [peerName]: 1.5 },
    })),
  );
  const bytes = encoded.reduce((sum, one) => sum + one.length, 0) / COUNT;
  if (packed) {
    const theirs = packed.reduce((sum, one) => sum + one.length, 0) / COUNT;
    lines.push(
      bound({
        row: "P6",
        work: `operation codec, bytes (0.7 of msgpackr's ${theirs.toFixed(1)})`,
        unit: "B/op",
        name: "tidemark",
        value: bytes,
        goal: Math.round(theirs * 0.7 * 10) / 10,
      }),
    );
  }
  if (sink === 0) throw new Error("nothing was measured");
  return lines;
}

function uuid(random) {
  const hex = Buffer.from(bytesOf(random, 16)).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
