// P12: frames through NATS JetStream (file storage, which does not sync) against a raw socket and a bare client with an
// acknowledgement inbox of its own; records in frames against one js.publish a record; lag.
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { natsStreams, openNatsTransport } from "../../packages/transport-nats/dist/index.js";
import { startNats } from "../../tools/servers/dist/index.js";
import { compare, median, peer, percentile } from "../harness.mjs";
import { paced, until } from "../lag.mjs";
import { openRaw } from "../raw-socket.mjs";
import { BROKER_ROUNDS, framesOf, lagLines, burstsPerSecond, SIZES, windowed } from "../shipping.mjs";

export const ROWS = ["P12"];

const RECORD_BYTES = 100;
const RECORDS = 4_096;
const LATENCY_BYTES = 200;
const SECONDS = 1;
const RAW_INBOX = "bare-inbox";

export async function run() {
  const [client, jet] = [await peer("@nats-io/transport-node"), await peer("@nats-io/jetstream")];
  if (client === undefined || jet === undefined) return [];
  let server;
  try {
    server = await startNats();
  } catch (error) {
    console.error(`${error.message}: P12 is left out`);
    return [];
  }
  try {
    const bench = await openBench(server, client, jet);
    try {
      return [...(await throughput(bench)), ...(await latency(bench)), ...(await lag(server))];
    } finally {
      await bench.close();
    }
  } finally {
    await server.remove();
  }
}

async function openBench(server, client, jet) {
  const transport = await openTransport(server, "tm");
  const connection = await client.connect({ servers: server.url });
  const manager = await jet.jetstreamManager(connection);
  // The streams of the limit and the peers are made as ours are.
  for (const config of natsStreams({ prefix: "bare", regions: [1, 2, 3, 4] }))
    await manager.streams.add(config);
  return {
    server,
    client,
    jet,
    transport,
    connection,
    manager,
    close: async () => {
      await transport.close();
      await connection.close();
    },
  };
}

function openTransport(server, prefix) {
  return openNatsTransport({ servers: server.url, prefix, provision: "create" });
}

async function throughput(bench) {
  const { server, client, jet, transport, connection, manager } = bench;
  const raw = await openRaw(server.port, {
    hello: `CONNECT {"verbose":false,"pedantic":false}\r\nSUB ${RAW_INBOX} 1\r\nPING\r\n`,
    ready: (line) => line === "PONG",
    heard: (line) => {
      if (line === "PING") return "PONG\r\n";
      if (line.startsWith("-ERR") || line.includes('"error"')) return new Error(line);
      return line.startsWith('{"stream"');
    },
  });
  let last = 0;
  const shipped = async (stream, frames, count) => {
    const { state } = await manager.streams.info(stream);
    // One message stays from the round before: purging all would reset what our transport expects.
    const kept = state.messages - count;
    assert.ok(kept === 0 || kept === 1, `${stream} has ${state.messages} messages after ${count}`);
    const message = await manager.streams.getMessage(stream, { seq: state.last_seq });
    assert.ok(Buffer.from(message.data).equals(frames[(count - 1) % frames.length]));
    await manager.streams.purge(stream, { keep: 1 });
  };
  const ours = ({ count, window }, frames) => {
    const publish = (at) =>
      transport.publish("sessions.1.0", frames[at % frames.length], { sequence: { epoch: 1, last: ++last } });
    return burstsPerSecond(
      count,
      () => windowed(count, window, publish),
      () => shipped("tm+sessions+1", frames, count),
    );
  };
  const bare = async ({ bytes, count }, frames, window, headers) => {
    const inbox = await acknowledging(connection);
    let { last_seq: seq } = (await manager.streams.info("bare+sessions+2")).state;
    const publish = (at) => {
      const made = headers?.();
      made?.set("Nats-Expected-Last-Subject-Sequence", `${seq++}`);
      return inbox.publish("bare.sessions.2.0", frames[at % frames.length], made);
    };
    const rate = await burstsPerSecond(
      count,
      () => windowed(count, window, publish),
      () => shipped("bare+sessions+2", frames, count),
    );
    inbox.close();
    return (rate * bytes) / 1e6;
  };
  const lines = [];
  for (const size of SIZES) {
    const { name, bytes, count, window } = size;
    const frames = framesOf(bytes);
    const megabytes = bytes / 1e6;
    lines.push(
      ...(await compare({
        row: "P12",
        work: `JetStream, frames of ${name}, ${window} in flight`,
        unit: "MB/s",
        rounds: BROKER_ROUNDS,
        goals: { "raw socket": bytes > 65_536 ? 0.85 : 0.6 },
        variants: {
          tidemark: async () => (await ours(size, frames)) * megabytes,
          "raw socket": async () => {
            const head = `PUB bare.sessions.1.0 ${RAW_INBOX} ${bytes}\r\n`;
            const rate = await burstsPerSecond(
              count,
              () => raw.send(head, frames, count, window),
              () => shipped("bare+sessions+1", frames, count),
            );
            return rate * megabytes;
          },
          "bare client, own inbox": () => bare(size, frames, window),
          // What publishing a frame only after the one before was acknowledged can reach.
          "bare client, one in flight": () => bare(size, frames, 1),
          // The same with the header by which the broker refuses what does not follow.
          "bare client, one in flight, expected sequence": () => bare(size, frames, 1, client.headers),
        },
      })),
    );
  }
  raw.close();
  const [size] = SIZES;
  const frames = framesOf(size.bytes);
  const records = framesOf(RECORD_BYTES);
  const perFrame = Math.floor(size.bytes / RECORD_BYTES);
  const js = jet.jetstream(connection);
  lines.push(
    ...(await compare({
      row: "P12",
      work: `JetStream, records of 100 B in frames of ${size.name}`,
      unit: "records/s",
      rounds: BROKER_ROUNDS,
      goals: { "js.publish a record": 80 },
      variants: {
        tidemark: async () => (await ours(size, frames)) * perFrame,
        "js.publish a record": () =>
          burstsPerSecond(
            RECORDS,
            () =>
              windowed(RECORDS, 256, (at) => js.publish("bare.sessions.3.0", records[at % records.length])),
            () => shipped("bare+sessions+3", records, RECORDS),
          ),
      },
    })),
  );
  return lines;
}

/** Publishes with one inbox for all acknowledgements: they come in the order of the publishes. */
async function acknowledging(connection) {
  const waiting = [];
  let heard = 0;
  const inbox = `bare-inbox-${Math.trunc(performance.now() * 1000)}`;
  const subscription = connection.subscribe(inbox, {
    callback: (_, message) => {
      const { settle, fail } = waiting[heard++];
      const text = message.string();
      if (text.includes('"error"')) fail(new Error(text));
      else settle();
    },
  });
  await connection.flush();
  return {
    publish: (subject, frame, headers) =>
      new Promise((settle, fail) => {
        waiting.push({ settle, fail });
        connection.publish(
          subject,
          frame,
          headers === undefined ? { reply: inbox } : { reply: inbox, headers },
        );
      }),
    close: () => subscription.unsubscribe(),
  };
}

/** From the call to publish to the reader's code on another connection of this process. */
async function latency({ server, client, jet, transport, connection }) {
  const reading = await openTransport(server, "tm");
  const bare = await client.connect({ servers: server.url });
  let [last, heard] = [0, () => undefined];
  const subscription = await reading.subscribe("sessions.2.0");
  const loop = (async () => {
    for await (const { frame } of subscription) heard(frame);
  })();
  const consumer = await jet.jetstream(bare).consumers.get("bare+sessions+4");
  const consuming = await consumer.consume({ callback: (message) => heard(message.data) });
  const inbox = await acknowledging(connection);
  const measure = async (publish) => {
    const sentAt = [];
    const times = [];
    heard = (frame) => {
      const at = new DataView(frame.buffer, frame.byteOffset).getUint32(0);
      times.push((performance.now() - sentAt[at]) * 1000);
    };
    const publishes = [];
    const total = await paced(1000, SECONDS, (at) => {
      const frame = new Uint8Array(LATENCY_BYTES);
      new DataView(frame.buffer).setUint32(0, at);
      sentAt.push(performance.now());
      publishes.push(publish(frame));
    });
    await Promise.all(publishes);
    await until(() => times.length >= total);
    assert.equal(times.length, total);
    return times;
  };
  const tails = { tidemark: [], bare: [] };
  const p50 = (times, tail) => {
    tail.push(percentile(times, 0.99));
    return percentile(times, 0.5);
  };
  try {
    const lines = await compare({
      row: "P12",
      work: "JetStream, ship latency at 1,000/s, 200 B, p50",
      unit: "us",
      lowerIsBetter: true,
      rounds: BROKER_ROUNDS,
      goals: { "bare client, own inbox": 1.5 },
      variants: {
        tidemark: async () => {
          const publish = (frame) =>
            transport.publish("sessions.2.0", frame, { sequence: { epoch: 1, last: ++last } });
          return p50(await measure(publish), tails.tidemark);
        },
        "bare client, own inbox": async () =>
          p50(await measure((frame) => inbox.publish("bare.sessions.4.0", frame)), tails.bare),
      },
    });
    const [ours, theirs] = [tails.tidemark, tails.bare].map((tail) => median(tail.slice(1)).toFixed(0));
    return lines.map((line) => ({ ...line, work: `${line.work} (p99: ${ours}, bare ${theirs})` }));
  } finally {
    inbox.close();
    await consuming.close();
    await subscription.close();
    await loop;
    await reading.close();
    await bare.close();
  }
}

function lag(server) {
  return lagLines({
    row: "P12",
    work: "visible lag of two regions over JetStream, 1,000 ops/s",
    goal: 25,
    join: () => openTransport(server, "pair"),
  });
}
