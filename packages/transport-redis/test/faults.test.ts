import { haveRedis, openFaultProxy, startRedis, type FaultProxy, type RedisServer } from "@tidemark/servers";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { openRedisTransport, type RedisTransport, type RedisTransportOptions } from "../src/index.ts";
import { eventually, frameOf, Heard, numberOf, ship, within } from "./wait.ts";

const installed = await haveRedis();
const SUBJECT = "sessions.1.0";
/** Quick to notice, so that a test is. */
const QUICK = { blockMs: 200, replyTimeoutMs: 300, connectTimeoutMs: 1_000 };

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function serverOf(...args: string[]): Promise<RedisServer> {
  const server = await startRedis({ args });
  opened.push(() => server.remove());
  return server;
}

async function proxyTo(target: number, port?: number): Promise<FaultProxy> {
  const proxy = await openFaultProxy(port === undefined ? { target } : { target, port });
  opened.push(() => proxy.close());
  return proxy;
}

async function join(port: number, options: Partial<RedisTransportOptions> = {}): Promise<RedisTransport> {
  const transport = await openRedisTransport({
    connection: `redis://127.0.0.1:${port}`,
    ...QUICK,
    ...options,
  });
  opened.push(() => transport.close());
  return transport;
}

/** A client of the test's own. */
function operator(port: number): Redis {
  const client = new Redis(port, "127.0.0.1");
  client.on("error", () => undefined);
  opened.push(async () => client.disconnect());
  return client;
}

/** Serves a subject, and asks until an answer comes. */
async function answers(asker: RedisTransport, subject: string): Promise<void> {
  await eventually(
    () =>
      asker.request(subject, frameOf(1), { timeoutMs: 500 }).then(
        (answer) => numberOf(answer) === 1,
        () => false,
      ),
    `an answer on ${subject}`,
  );
}

describe.skipIf(!installed)("TRN-8 what Redis may do", () => {
  test.each([
    ["it forgets everything", []],
    ["it keeps its streams", ["--appendonly", "yes", "--appendfsync", "always"]],
  ])("kill -9 and a restart, where %s: frames, ephemeral frames and requests go on", async (_, args) => {
    const server = await serverOf(...args);
    const [left, right] = [await join(server.port), await join(server.port)];
    const heard = new Heard(await right.subscribe(SUBJECT));
    const acks = new Heard(await right.subscribe("ack.1"));
    await right.serve("inbox.2", async (frame) => frame);
    await ship(left, SUBJECT, 1, 50);
    await heard.until(50);
    await server.kill();
    const during = ship(left, SUBJECT, 51, 80);
    await expect(left.publish("ack.1", frameOf(1))).rejects.toMatchObject({ code: "PUBLISH_FAILED" });
    await server.start();
    await within(during, "publishing through the restart");
    await heard.until(80);
    heard.expectAll(1, 80);
    await eventually(async () => {
      await left.publish("ack.1", frameOf(5)).catch(() => undefined);
      return acks.numbers.includes(5);
    }, "an acknowledgement after the restart");
    await answers(left, "inbox.2");
    expect(left.status.state).toBe("ready");
  });

  test("scenario 18: FLUSHALL and a deleted stream hold nothing up, and cursors go on", async () => {
    const server = await serverOf();
    const [left, right] = [await join(server.port), await join(server.port)];
    const heard = new Heard(await right.subscribe(SUBJECT));
    const acks = new Heard(await right.subscribe("ack.1"));
    await right.serve("inbox.2", async (frame) => frame);
    await ship(left, SUBJECT, 1, 20);
    await heard.until(20);
    const client = operator(server.port);
    await client.flushall();
    await ship(left, SUBJECT, 21, 40);
    await client.del(`tidemark:{0}:log:${SUBJECT}`);
    await ship(left, SUBJECT, 41, 60);
    await heard.until(60);
    await left.publish("ack.1", frameOf(9));
    await acks.until(9);
    await answers(left, "inbox.2");
    // A position of before: what is there now is given, and nothing waits for what is gone.
    const position = heard.positions[heard.numbers.indexOf(20)]!;
    const again = new Heard(await right.subscribe(SUBJECT, { from: position }));
    await again.until(60);
    again.expectAll(41, 60);
  });

  test("scenario 20: a frame that is published again, however late and by whomever, is refused by its id", async () => {
    const server = await serverOf();
    const left = await join(server.port);
    await ship(left, SUBJECT, 1, 10);
    const restarted = await join(server.port);
    await ship(restarted, SUBJECT, 1, 10);
    await left.release(SUBJECT, { epoch: 7, last: 10 });
    await ship(restarted, SUBJECT, 5, 10);
    const client = operator(server.port);
    expect(await client.xlen(`tidemark:{0}:log:${SUBJECT}`)).toBe(0);
    await ship(restarted, SUBJECT, 9, 12);
    expect(await client.xlen(`tidemark:{0}:log:${SUBJECT}`)).toBe(2);
  });

  test("a server whose clock is behind takes over: cursors of frames without a number go back with it", async () => {
    const server = await serverOf();
    const [left, right] = [await join(server.port), await join(server.port)];
    const acks = new Heard(await right.subscribe("ack.1"));
    await right.serve("inbox.2", async (frame) => frame);
    await answers(left, "inbox.2");
    const client = operator(server.port);
    const ahead = `${Date.now() + 3_600_000}-0`;
    await client.xadd("tidemark:{ack}:eph:ack.1", ahead, "f", Buffer.from(frameOf(1)));
    await acks.until(1);
    // Requests whose ids stand still in an hour from now are as new as any.
    await client.xadd("tidemark:{inbox.2}:requests", ahead, "x", "y");
    await answers(left, "inbox.2");
    await server.kill();
    await server.start();
    await eventually(async () => {
      await left.publish("ack.1", frameOf(2)).catch(() => undefined);
      return acks.numbers.includes(2);
    }, "an acknowledgement by the slower clock");
    await answers(left, "inbox.2");
  });

  test("a request that expired while its member was away is not run, one that still waits is", async () => {
    const server = await serverOf();
    const left = await join(server.port);
    await expect(left.request("inbox.2", frameOf(1), { timeoutMs: 20 })).rejects.toMatchObject({
      code: "REQUEST_TIMEOUT",
    });
    const waiting = left.request("inbox.2", frameOf(2), { timeoutMs: 10_000 });
    const right = await join(server.port);
    const ran: number[] = [];
    await right.serve("inbox.2", async (frame) => {
      ran.push(numberOf(frame));
      return frame;
    });
    expect(numberOf(await waiting)).toBe(2);
    expect(ran).toEqual([2]);
  });

  test("SIGSTOP: what was sent to a frozen server is stored once, and the silence is told", async () => {
    const server = await serverOf();
    const [left, right] = [await join(server.port), await join(server.port)];
    const heard = new Heard(await right.subscribe(SUBJECT));
    await ship(left, SUBJECT, 1, 10);
    await heard.until(10);
    server.freeze();
    const during = ship(left, SUBJECT, 11, 30);
    await eventually(() => left.status.state !== "ready" && right.status.state !== "ready", "the silence");
    server.thaw();
    await within(during, "publishing to a server that froze");
    await heard.until(30);
    heard.expectAll(1, 30);
    expect(await operator(server.port).xlen(`tidemark:{0}:log:${SUBJECT}`)).toBe(30);
    await eventually(() => left.status.state === "ready" && right.status.state === "ready", "ready again");
  });

  test.each(["cut", "stall", "halfOpen"] as const)(
    "a link that is %s: the connections are replaced, and nothing is lost or doubled in the stream",
    async (fault) => {
      const server = await serverOf();
      const proxy = await proxyTo(server.port);
      const [left, right] = [await join(proxy.port), await join(proxy.port)];
      const heard = new Heard(await right.subscribe(SUBJECT));
      await ship(left, SUBJECT, 1, 10);
      await heard.until(10);
      proxy[fault]();
      const during = ship(left, SUBJECT, 11, 40);
      await eventually(() => left.status.state !== "ready" && right.status.state !== "ready", "the fault");
      proxy.heal();
      await within(during, "publishing over the link");
      await heard.until(40);
      heard.expectAll(1, 40);
      expect(right.stats.replaced).toBeGreaterThan(0);
      expect(right.stats.gaps).toBe(0);
    },
  );

  test("scenario 19: what is trimmed before it was read is a gap that is told, and reading goes on", async () => {
    const server = await serverOf();
    const left = await join(server.port, { streamFramesMax: 100 });
    const right = await join(server.port, { queueFramesMax: 4 });
    const told: string[] = [];
    right.onStatus(({ reason }) => told.push(reason ?? ""));
    const subscription = await right.subscribe(SUBJECT);
    await ship(left, SUBJECT, 1, 1_000);
    expect(left.stats.trimmed).toBeGreaterThan(0);
    const client = operator(server.port);
    await eventually(
      async () => (await client.xlen(`tidemark:{0}:log:${SUBJECT}`)) <= 100,
      "a stream within its bound",
    );
    const heard = new Heard(subscription);
    await heard.until(1_000);
    heard.expectAll(901, 1_000);
    expect(right.stats.gaps).toBeGreaterThan(0);
    expect(right.status.state).toBe("ready");
    expect(told.join()).toContain("gone before they were read");
  });

  test("a slow reader gets every frame: what it has no room for stays in the stream", async () => {
    const server = await serverOf();
    const left = await join(server.port);
    const right = await join(server.port, { queueFramesMax: 4 });
    const subscription = await right.subscribe(SUBJECT);
    await ship(left, SUBJECT, 1, 1_000);
    const heard = new Heard(subscription);
    await heard.until(1_000);
    heard.expectAll(1, 1_000);
    expect(heard.numbers).toHaveLength(1_000);
  });

  test("TRN-7 release() trims what every member has, and nothing above it", async () => {
    const server = await serverOf();
    const left = await join(server.port);
    await ship(left, SUBJECT, 1, 100);
    await left.release(SUBJECT, { epoch: 7, last: 60 });
    const entries = await operator(server.port).xrange(`tidemark:{0}:log:${SUBJECT}`, "-", "+");
    expect(entries.map(([id]) => id)).toEqual(Array.from({ length: 40 }, (_, index) => `7-${61 + index}`));
  });

  test("scenario 21: a replica that lacks the last frames takes over: what comes after is read, what is missing is told", async () => {
    const primary = await serverOf("--repl-diskless-sync-delay", "0");
    const replica = await serverOf("--replicaof", "127.0.0.1", `${primary.port}`);
    const onReplica = operator(replica.port);
    const proxy = await proxyTo(primary.port);
    const cutOff = await proxyTo(primary.port);
    const [left, right] = [await join(proxy.port), await join(cutOff.port)];
    const late = new Heard(await right.subscribe(SUBJECT));
    const heard = new Heard(await left.subscribe(SUBJECT));
    await ship(left, SUBJECT, 1, 20);
    const key = `tidemark:{0}:log:${SUBJECT}`;
    await eventually(async () => (await onReplica.xlen(key)) === 20, "the replica holding 20 frames");
    // The replica stops listening, and the primary goes on for a while.
    await onReplica.replicaof("NO", "ONE");
    await late.until(20);
    cutOff.cut();
    await ship(left, SUBJECT, 21, 30);
    await heard.until(30);
    for (const link of [proxy, cutOff]) {
      const { port } = link;
      link.cut();
      await link.close();
      await proxyTo(replica.port, port);
    }
    await primary.kill();
    await ship(left, SUBJECT, 31, 50);
    await heard.until(50);
    heard.expectAll(1, 50);
    await late.until(50);
    expect([...new Set(late.numbers)]).toEqual([...heard.numbers.filter((n) => n <= 20 || n > 30)]);
    expect(right.stats.gaps).toBeGreaterThan(0);
    // A server that still follows takes no writes: the connection is given up until one does.
    await answersAfterPromotion(left, replica);
  });
});

async function answersAfterPromotion(transport: RedisTransport, replica: RedisServer): Promise<void> {
  const client = operator(replica.port);
  const other = await serverOf();
  await client.replicaof("127.0.0.1", other.port);
  const publishing = transport.publish(SUBJECT, frameOf(51), { sequence: { epoch: 7, last: 51 } });
  publishing.catch(() => undefined);
  await eventually(() => transport.status.state !== "ready", "a server without writes being noticed");
  await client.replicaof("NO", "ONE");
  await within(publishing, "publishing after the promotion");
}
