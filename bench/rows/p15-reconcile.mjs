// P15: reconcile after a partition: bytes on the wire against the bytes of the missing records, and time against the same
// bytes over the same link. The link carries 100 Mbit/s each way, so that it, and not this machine's memory, is the limit.
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { ROUNDS, spread } from "../harness.mjs";
import { withPair } from "../pair.mjs";

export const ROWS = ["P15"];

const RECORDS = 100_000;
const SESSIONS = 100;
const LINK_BYTES_A_MS = 12_500;
const FRAME_BYTES = 1020 * 1024;

export async function run() {
  // One link: pushed frames and answers to questions share each direction of it.
  const wire = { bytes: 0, cut: false, "us-east": new Pipe(), "eu-west": new Pipe() };
  const wrap = (name, transport) => limited(name, transport, wire);
  return withPair(
    async ({ east, west, network }) => {
      const sessions = await Promise.all(
        Array.from({ length: SESSIONS }, (_, at) =>
          east.sessions.start({ user: `user-${at}`, agent: "bench" }),
        ),
      );
      const bytes = { measured: [], against: [] };
      const times = { measured: [], against: [] };
      const rounds = Math.min(ROUNDS, 5);
      for (let round = -1; round < rounds; round++) {
        const result = await reconcile({ east, west, network, sessions, wire });
        // The first one warms up.
        if (round < 0) continue;
        bytes.measured.push(result.wireBytes);
        bytes.against.push(result.missingBytes);
        times.measured.push(result.ms);
        times.against.push(await bare(result.missingBytes));
      }
      assert.deepEqual(east.certificate(), west.certificate());
      return [
        line("bytes on the wire", "bytes", bytes, "bytes of the missing records", 1.3),
        line("time", "ms", times, "the same bytes over the same link", 1.5),
      ];
    },
    { wrap },
  );
}

async function reconcile({ east, west, network, sessions, wire }) {
  await Promise.all([east.synced({ timeoutMs: 60_000 }), west.synced({ timeoutMs: 60_000 })]);
  network.cut("us-east", "eu-west");
  wire.cut = true;
  const before = bytesHeld(east);
  for (let left = RECORDS; left > 0; left -= 1_000) {
    await Promise.all(
      Array.from({ length: 1_000 }, (_, at) =>
        sessions[(left + at) % SESSIONS].signal(`entity-${"x".repeat(40)}-${at}`, "view", 1),
      ),
    );
  }
  const missingBytes = bytesHeld(east) - before;
  wire.bytes = 0;
  const goal = east.health().opsApplied;
  const start = performance.now();
  wire.cut = false;
  network.heal("us-east", "eu-west");
  while (west.health().opsApplied < goal) await new Promise((resolve) => setTimeout(resolve, 1));
  return { ms: performance.now() - start, wireBytes: wire.bytes, missingBytes };
}

/** Bytes of the batches that a region holds. */
const bytesHeld = (region) => region.metrics().wal.bytes;

function line(what, unit, { measured, against }, baseline, goal) {
  const ratio = spread(measured.map((figure, at) => figure / against[at]));
  return {
    row: "P15",
    work: `reconcile after a partition, ${RECORDS.toLocaleString("en")} records at 100 Mbit/s: ${what}`,
    unit,
    subject: "tidemark",
    measured: spread(measured),
    baseline,
    against: spread(against),
    ratio,
    goal,
    goalIs: "at most",
    met: ratio.median <= goal,
  };
}

/** One direction of a link: frames wait for those before them. */
class Pipe {
  #freeAt = 0;

  async carry(bytes) {
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + bytes / LINK_BYTES_A_MS;
    const wait = this.#freeAt - now;
    if (wait > 0.5) await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** A transport over a link of a bounded rate, counted. */
function limited(from, transport, wire) {
  const out = wire[from];
  const back = wire[from === "us-east" ? "eu-west" : "us-east"];
  const carry = async (pipe, frame) => {
    if (wire.cut) return;
    wire.bytes += frame.length;
    await pipe.carry(frame.length);
  };
  return new Proxy(transport, {
    get(target, name) {
      if (name === "publish") {
        return async (subject, frame, options) => {
          await carry(out, frame);
          await target.publish(subject, frame, options);
        };
      }
      if (name === "request") {
        return async (subject, frame, options) => {
          await carry(out, frame);
          const reply = await target.request(subject, frame, options);
          await carry(back, reply);
          return reply;
        };
      }
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** The limit: nothing but the bytes, in frames as large as they may be. */
async function bare(bytes) {
  const pipe = new Pipe();
  const start = performance.now();
  for (let left = bytes; left > 0; left -= FRAME_BYTES) await pipe.carry(Math.min(left, FRAME_BYTES));
  return performance.now() - start;
}
