import { startNats, startRedis, type NatsServer, type RedisServer } from "@tidemark/servers";
import type { Delivery, FrameSequence, Transport } from "@tidemark/transport";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTransport, type BrokerName } from "../src/transports.ts";
import { hasServer } from "./has-server.ts";
import { SessionWriters } from "./session-writers.ts";
import { SwitchedCluster, type Brokers } from "./switched-cluster.ts";

const usable = (await hasServer("nats")) && (await hasServer("redis"));

describe.skipIf(!usable)(
  "REP-3 the medium is switched under two regions that write",
  { timeout: 60_000 },
  () => {
    let servers: { readonly nats: NatsServer; readonly redis: RedisServer };
    beforeAll(async () => {
      servers = { nats: await startNats(), redis: await startRedis() };
    });
    afterAll(async () => {
      await servers.nats.remove();
      await servers.redis.remove();
    });
    const brokersOf = (prefix: string): Brokers => ({
      urlOf: (broker) => servers[broker].url,
      prefix,
    });

    test("scenario 42: in-process, NATS, Redis and back, also one region before the other, and to a broker that holds what they once shipped", async () => {
      const brokers = brokersOf("journey");
      await using cluster = new SwitchedCluster(brokers);
      using writers = await SessionWriters.on(cluster);
      const met = async (): Promise<void> => {
        await writers.more(10);
        await writers.met();
      };
      await met();
      await cluster.moveAll("nats");
      await met();
      await using spectator = await Spectator.open("nats", brokers);
      // Whoever is still on the old medium ships to nobody, and what it ships stays there.
      await cluster.move("eu-west", "redis");
      const left = await spectator.firstOf("sessions.1.0");
      await writers.more(20);
      await cluster.move("us-east", "redis");
      await met();
      await cluster.moveAll("inprocess");
      await met();
      expect(await spectator.isKept("sessions.1.0", left)).toBe(true);
      await cluster.moveAll("nats");
      await met();
      await cluster.move("us-east", "inprocess");
      await writers.more(10);
      await cluster.move("eu-west", "inprocess");
      await met();
      await writers.stop();
      await cluster.converged();
      writers.expectAllOnce();
    });

    test.each<BrokerName>(["nats", "redis"])(
      "scenario 42: to %s, where another cluster has left streams of the same prefix, and a frame with the highest number there is",
      async (broker) => {
        const brokers = brokersOf(`former-${broker}`);
        await using spectator = await Spectator.open(broker, brokers);
        {
          await using former = new SwitchedCluster(brokers);
          await former.moveAll(broker);
          using writers = await SessionWriters.on(former);
          await former.move("eu-west", "inprocess");
          const first = await spectator.firstOf("sessions.1.0");
          await writers.more(20, ["us-east"]);
          await writers.stop();
          expect(await spectator.isKept("sessions.1.0", first)).toBe(true);
        }
        // Ahead of everything that two regions with right clocks would ship.
        for (const region of [1, 2])
          await spectator.litter(`sessions.${region}.0`, { epoch: 2 ** 32 - 1, last: 9 });
        await using cluster = new SwitchedCluster(brokers);
        using writers = await SessionWriters.on(cluster);
        await writers.more(10);
        await cluster.moveAll(broker);
        await writers.more(10);
        await writers.met();
        await writers.stop();
        await cluster.converged();
        writers.expectAllOnce();
      },
    );
  },
);

/** Looks at what is on a broker, as anybody may who may read there. */
class Spectator implements AsyncDisposable {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  static async open(broker: BrokerName, { urlOf, prefix }: Brokers): Promise<Spectator> {
    return new Spectator(await openTransport(broker, { url: urlOf(broker), prefix, region: "spectator" }));
  }

  /** Where the next frame of a subject is kept. */
  async firstOf(subject: string): Promise<string> {
    return (await this.#next(subject)).position!;
  }

  /** Whether frames behind that place are there still. */
  async isKept(subject: string, from: string): Promise<boolean> {
    return (await this.#next(subject, from)).position !== from;
  }

  /** Leaves a frame that is none. */
  litter(subject: string, sequence: FrameSequence): Promise<void> {
    return this.#transport.publish(subject, new Uint8Array(80), { sequence });
  }

  async #next(subject: string, from?: string): Promise<Delivery> {
    const options = { ...(from === undefined ? {} : { from }), signal: AbortSignal.timeout(10_000) };
    await using frames = await this.#transport.subscribe(subject, options);
    for await (const delivery of frames) return delivery;
    throw new Error(`${subject} ended`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#transport.close();
  }
}
