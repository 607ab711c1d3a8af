import { jetstreamManager } from "@nats-io/jetstream";
import type { StreamAPI } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { openFaultProxy, startNats } from "@tidemark/servers";
import type { NatsServer } from "@tidemark/servers";
import type { Transport } from "@tidemark/transport";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { NatsTransportOptions } from "../src/index.ts";
import { hasServer, newPrefix, openOn } from "./broker.ts";

const SUBJECT = "sessions.1.0";
const FRAME_BYTES = 512;
const soon = { timeout: 10_000, interval: 10 };
const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

function send(transport: Transport, last: number, subject: string = SUBJECT): Promise<void> {
  const frame = new Uint8Array(FRAME_BYTES).fill(last);
  return transport.publish(subject, frame, { sequence: { epoch: 1, last } });
}

/** Publishes with 100 frames under way until it is stopped; `stop` tells the last number once all are stored. */
function publishOn(transport: Transport): { readonly stored: () => number; stop(): Promise<number> } {
  let [last, stored, stopped] = [0, 0, false];
  const publishers = Array.from({ length: 100 }, async () => {
    while (!stopped) {
      const number = ++last;
      await send(transport, number);
      stored = Math.max(stored, number);
    }
  });
  return {
    stored: () => stored,
    stop: async () => {
      stopped = true;
      await Promise.all(publishers);
      return last;
    },
  };
}

describe.skipIf(!(await hasServer()))("TRN-6 a window of frames under way", { timeout: 30_000 }, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server.remove());

  interface Scene extends AsyncDisposable {
    readonly left: Transport;
    readonly right: Transport;
    deleteStream(): Promise<unknown>;
    /** Numbers of the frames in the stream, in its order. */
    stored(subject?: string): Promise<number[]>;
  }

  async function scene(port: number = server.port, more: Partial<NatsTransportOptions> = {}): Promise<Scene> {
    const prefix = newPrefix();
    const [left, right] = [await openOn(port, prefix, more), await openOn(server.port, prefix, more)];
    const stream = `${prefix}+sessions+1`;
    // A connection for each use: one that was open when the broker was killed may not have noticed yet.
    const withStreams = async <T>(use: (streams: StreamAPI) => Promise<T>): Promise<T> => {
      await using admin = await connect({ servers: server.url });
      return await use((await jetstreamManager(admin)).streams);
    };
    return {
      left,
      right,
      deleteStream: () => withStreams((streams) => streams.delete(stream)),
      stored: (subject = SUBJECT) =>
        withStreams(async (streams) => {
          const { state } = await streams.info(stream);
          const numbers: number[] = [];
          for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
            const id = (await streams.getMessage(stream, { seq }))!.header.get("Nats-Msg-Id");
            const [, last] = new RegExp(`^${subject} 1-(\\d+) `).exec(id) ?? [];
            if (last !== undefined) numbers.push(Number(last));
          }
          return numbers;
        }),
      [Symbol.asyncDispose]: async () => {
        await Promise.all([left.close(), right.close()]);
      },
    };
  }

  test("frames that are published at once are stored in their order, those of every subject", async () => {
    await using at = await scene();
    const subjects = range(0, 3).map((shard) => `sessions.1.${shard}`);
    const flow = subjects.map(() => [] as number[]);
    await Promise.all(
      range(1, 60).flatMap((last) =>
        subjects.map((subject, shard) => send(at.left, last, subject).then(() => flow[shard]!.push(last))),
      ),
    );
    for (const [shard, subject] of subjects.entries()) {
      expect(await at.stored(subject)).toEqual(range(1, 60));
      expect(flow[shard]).toEqual(range(1, 60));
    }
  });

  test("scenario 41 the broker is killed with a full window: every frame is stored once and in order", async () => {
    await using at = await scene();
    const flow = publishOn(at.left);
    for (let times = 0; times < 2; times++) {
      const before = flow.stored();
      await vi.waitFor(() => expect(flow.stored()).toBeGreaterThan(before + 100), soon);
      await server.kill();
      await server.start();
    }
    const last = await flow.stop();
    expect(await at.stored()).toEqual(range(1, last));
    await vi.waitFor(() => expect(at.left.status).toEqual({ state: "ready" }), soon);
  });

  test("a link that ends with a full window: what the broker has is not stored again, what it lacks follows", async () => {
    await using proxy = await openFaultProxy({ target: server.port });
    await using at = await scene(proxy.port);
    await send(at.left, 1);
    // Some of it arrives.
    proxy.slow(200_000);
    const publishing = range(2, 250).map((last) => send(at.left, last));
    await publishing[10];
    proxy.cut();
    await vi.waitFor(() => expect(at.left.status.state).toBe("connecting"), soon);
    proxy.slow(Number.POSITIVE_INFINITY);
    proxy.heal();
    await Promise.all(publishing);
    expect(await at.stored()).toEqual(range(1, 250));
  });

  test("scenario 18 the stream is deleted with a full window: it is made again, and goes on where it ended", async () => {
    await using at = await scene();
    const flow = publishOn(at.left);
    await vi.waitFor(() => expect(flow.stored()).toBeGreaterThan(100), soon);
    await at.deleteStream();
    const last = await flow.stop();
    await send(at.left, last + 1);
    const kept = await at.stored();
    expect(kept[0]).toBeGreaterThan(100);
    expect(kept).toEqual(range(kept[0]!, last + 1));
    await vi.waitFor(() => expect(at.left.status).toEqual({ state: "ready" }), soon);
  });

  test("scenario 20 a repeat is refused in the middle of a window: it resolves, and what is behind it is stored once", async () => {
    await using at = await scene();
    for (const last of range(1, 5)) await send(at.left, last);
    // Another process of the region went on meanwhile.
    for (const last of range(6, 30)) await send(at.right, last);
    await Promise.all(range(3, 90).map((last) => send(at.left, last)));
    expect(await at.stored()).toEqual(range(1, 90));
    // The other one's idea of the stream is old by now. And what is published out of order is a repeat.
    await Promise.all([...range(20, 99), 40, 99, ...range(100, 120)].map((last) => send(at.right, last)));
    expect(await at.stored()).toEqual(range(1, 120));
  });

  test("somebody else writes into the stream: the window is refused again and again, and every frame is stored in order", async () => {
    await using at = await scene();
    await Promise.all([
      ...range(1, 250).map((last) => send(at.left, last)),
      ...range(1, 250).map((last) => send(at.right, last, "sessions.1.1")),
    ]);
    expect(await at.stored()).toEqual(range(1, 250));
    expect(await at.stored("sessions.1.1")).toEqual(range(1, 250));
  });

  test("a frame is refused: none behind it is stored before it, though a frame of another subject lies between", async () => {
    await using at = await scene();
    await send(at.left, 1);
    await send(at.left, 1, "sessions.1.1");
    // The first one's idea of the one subject is old, that of the other one is not.
    await send(at.right, 2);
    await Promise.all([send(at.left, 3), send(at.left, 2, "sessions.1.1"), send(at.left, 4)]);
    expect(await at.stored()).toEqual([1, 2, 3, 4]);
    expect(await at.stored("sessions.1.1")).toEqual([1, 2]);
  });

  test("two processes write one subject: each frame is stored once, in the order of their numbers", async () => {
    await using at = await scene();
    await Promise.all([at.left, at.right].flatMap((each) => range(1, 200).map((last) => send(each, last))));
    const kept = await at.stored();
    expect(kept).toEqual(range(1, 200));
  });

  test("an abort within a window ends the waiting for one frame: what was sent is stored, what was not is left out", async () => {
    await using proxy = await openFaultProxy({ target: server.port });
    await using at = await scene(proxy.port, { ackTimeoutMs: 5_000, publishWindowMax: 16 });
    await send(at.left, 1);
    proxy.stall();
    const controller = new AbortController();
    const publish = (last: number): Promise<void> =>
      at.left.publish(SUBJECT, new Uint8Array(FRAME_BYTES), {
        sequence: { epoch: 1, last },
        ...([8, 30].includes(last) ? { signal: controller.signal } : {}),
      });
    const publishing = range(2, 40).map((last) => publish(last));
    controller.abort("enough");
    await expect(publishing[8 - 2]).rejects.toBe("enough");
    await expect(publishing[30 - 2]).rejects.toBe("enough");
    proxy.heal();
    await Promise.all(publishing.filter((_, index) => ![8 - 2, 30 - 2].includes(index)));
    expect(await at.stored()).toEqual(range(1, 40).filter((last) => last !== 30));
  });

  test("as many frames as may wait and no more, those under way among them; a frame nobody waits for counts no more", async () => {
    await using proxy = await openFaultProxy({ target: server.port });
    await using at = await scene(proxy.port, {
      ackTimeoutMs: 5_000,
      publishWindowMax: 4,
      publishQueueMax: 8,
    });
    await send(at.left, 1);
    proxy.stall();
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = at.left.publish(SUBJECT, new Uint8Array(1), { sequence: { epoch: 1, last: 2 }, signal });
    const publishing = range(3, 9).map((last) => send(at.left, last));
    await expect(send(at.left, 10)).rejects.toMatchObject({ code: "PUBLISH_FAILED" });
    controller.abort("enough");
    await expect(aborted).rejects.toBe("enough");
    publishing.push(send(at.left, 10));
    proxy.heal();
    await Promise.all(publishing);
    expect(await at.stored()).toEqual(range(1, 10));
  });

  test("frames in parts share the window: all of their messages are stored in order", async () => {
    await using own = await startNats({ config: () => "max_payload: 2048" });
    const prefix = newPrefix();
    await using left = await openOn(own.port, prefix, { frameBytesMax: 50_000 });
    await using admin = await connect({ servers: own.url });
    const { streams } = await jetstreamManager(admin);
    await Promise.all(
      range(1, 20).map((last) =>
        left.publish(SUBJECT, new Uint8Array(last * 1_500), { sequence: { epoch: 1, last } }),
      ),
    );
    const { state } = await streams.info(`${prefix}+sessions+1`);
    const ids: string[] = [];
    for (let seq = 1; seq <= state.last_seq; seq++) {
      const message = await streams.getMessage(`${prefix}+sessions+1`, { seq });
      ids.push(message!.header.get("Nats-Msg-Id"));
    }
    const wanted = range(1, 20).flatMap((last) => {
      const parts = Math.ceil((last * 1_500) / 1_536);
      return range(0, parts - 1).map((part) => `${SUBJECT} 1-${last} ${part} ${parts}`);
    });
    expect(ids).toEqual(wanted);
  });
});
