// P13: frames through Redis Streams against raw pipelined XADD of equal frames and against bare ioredis, and the lag of
// two regions. The server keeps nothing on disk: what is compared is the way there.
import assert from "node:assert/strict";
import { openRedisTransport } from "../../packages/transport-redis/dist/index.js";
import { startRedis } from "../../tools/servers/dist/index.js";
import { compare, peer } from "../harness.mjs";
import { openRaw } from "../raw-socket.mjs";
import { BROKER_ROUNDS, framesOf, lagLines, burstsPerSecond, SIZES, windowed } from "../shipping.mjs";

export const ROWS = ["P13"];

const SUBJECT = "sessions.1.0";
const OUR_KEY = `tm:{0}:log:${SUBJECT}`;

export async function run() {
  const ioredis = await peer("ioredis");
  if (ioredis === undefined) return [];
  let server;
  try {
    server = await startRedis();
  } catch (error) {
    console.error(`${error.message}: P13 is left out`);
    return [];
  }
  try {
    return [...(await throughput(server, ioredis)), ...(await lag(server))];
  } finally {
    await server.remove();
  }
}

async function throughput(server, { Redis }) {
  const transport = await openRedisTransport({ connection: server.url, prefix: "tm" });
  const client = new Redis(server.url);
  const raw = await openRaw(server.port, {
    hello: "PING\r\n",
    ready: (line) => line === "+PONG",
    heard: (line) => (line.startsWith("-") ? new Error(line) : line.startsWith("$")),
  });
  let last = 0;
  const shipped = async (key, frames, count) => {
    assert.equal(await client.xlen(key), count);
    const [[, fields]] = await client.xrevrangeBuffer(key, "+", "-", "COUNT", 1);
    assert.ok(fields.at(-1).equals(frames[(count - 1) % frames.length]));
  };
  const shippedAndGone = async (key, frames, count) => {
    await shipped(key, frames, count);
    await client.del(key);
  };
  const lines = [];
  for (const { name, bytes, count, window } of SIZES) {
    const frames = framesOf(bytes);
    const megabytes = bytes / 1e6;
    lines.push(
      ...(await compare({
        row: "P13",
        work: `Redis Streams, frames of ${name}, ${window} in flight`,
        unit: "MB/s",
        rounds: BROKER_ROUNDS,
        goals: { "raw pipelined XADD": bytes > 65_536 ? 0.9 : 0.6 },
        variants: {
          tidemark: async () => {
            const publish = (at) =>
              transport.publish(SUBJECT, frames[at % frames.length], {
                sequence: { epoch: 1, last: ++last },
              });
            const rate = await burstsPerSecond(
              count,
              () => windowed(count, window, publish),
              async () => {
                await shipped(OUR_KEY, frames, count);
                await transport.release(SUBJECT, { epoch: 1, last });
              },
            );
            return rate * megabytes;
          },
          "raw pipelined XADD": async () => {
            const head = `*5\r\n$4\r\nXADD\r\n$3\r\nraw\r\n$1\r\n*\r\n$1\r\nf\r\n$${bytes}\r\n`;
            const rate = await burstsPerSecond(
              count,
              () => raw.send(head, frames, count, window),
              () => shippedAndGone("raw", frames, count),
            );
            return rate * megabytes;
          },
          "bare ioredis": async () => {
            const publish = (at) => client.xadd("bare", "*", "f", frames[at % frames.length]);
            const rate = await burstsPerSecond(
              count,
              () => windowed(count, window, publish),
              () => shippedAndGone("bare", frames, count),
            );
            return rate * megabytes;
          },
        },
      })),
    );
  }
  raw.close();
  client.disconnect();
  await transport.close();
  return lines;
}

function lag(server) {
  return lagLines({
    row: "P13",
    work: "visible lag of two regions over Redis Streams, 1,000 ops/s",
    goal: 25,
    join: () => openRedisTransport({ connection: server.url, prefix: "pair" }),
  });
}
