import { randomBytes } from "node:crypto";
import type { ClusterKey } from "@tidemark/region";
import { openFaultProxy, startNats, startRedis, type NatsServer, type RedisServer } from "@tidemark/servers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { BrokerName } from "../src/transports.ts";
import { hasServer } from "./has-server.ts";
import { SessionWriters } from "./session-writers.ts";
import { NAMES, SwitchedCluster, type Keys, type Name } from "./switched-cluster.ts";

const FLAPS = 16;
const FLAP_MS = 50;
/** Lag must be gone by then: clients of brokers wait up to 2 s before they connect again. */
const HEALED_MS = 10_000;
const SERVERS: Readonly<Record<BrokerName, () => Promise<NatsServer | RedisServer>>> = {
  nats: () => startNats(),
  redis: () => startRedis(),
};

for (const broker of ["nats", "redis"] as const) {
  describe.skipIf(!(await hasServer(broker)))(`two regions over ${broker}`, { timeout: 60_000 }, () => {
    let server: NatsServer | RedisServer;
    beforeAll(async () => {
      server = await SERVERS[broker]();
    });
    afterAll(() => server.remove());

    test("REP-4 scenario 22: a link that is silent one way or cut, and flaps every 50 ms, leaves no lag and no ping-pong", async () => {
      await using proxy = await openFaultProxy({ target: server.port });
      const behindProxy = server.url.replace(`${server.port}`, `${proxy.port}`);
      await using cluster = new SwitchedCluster({
        urlOf: (_, name) => (name === "us-east" ? behindProxy : server.url),
        prefix: "flaps",
      });
      await cluster.moveAll(broker);
      using writers = await SessionWriters.on(cluster);
      const faults = [() => proxy.stall("inbound"), () => proxy.stall("outbound"), () => proxy.cut()];
      for (let flap = 0; flap < FLAPS; flap++) {
        if (flap % 2 === 0) faults[(flap / 2) % faults.length]!();
        else proxy.heal();
        await passed(FLAP_MS);
      }
      await writers.stop();
      proxy.heal();
      await cluster.converged(HEALED_MS);
      writers.expectAllOnce();
      // Once they are equal nobody sends or asks for anything but acknowledgements.
      const counted = (): object[] =>
        cluster.regions.map((region) => {
          const { rangesAsked, framesPublished } = region.metrics();
          return { rangesAsked, framesPublished };
        });
      const heard = (): number[] => cluster.regions.map((region) => region.metrics().acksHeard);
      const [before, heardBefore] = [counted(), heard()];
      await vi.waitFor(
        () => expect(heard().every((acks, index) => acks >= heardBefore[index]! + 2)).toBe(true),
        HEALED_MS,
      );
      expect(counted()).toEqual(before);
    });

    test("TRN-4 scenario 39: keys rotate under two regions that write, without a gap; with a stale key or with none nothing passes", async () => {
      await using cluster = new SwitchedCluster({ urlOf: () => server.url, prefix: "keys" });
      const [first, second] = [1, 2].map((id) => ({ id, key: new Uint8Array(randomBytes(32)) })) as [
        ClusterKey,
        ClusterKey,
      ];
      const move = async (name: Name, keys: Keys): Promise<void> => {
        cluster.keys[name] = keys;
        await cluster.move(name, broker);
      };
      const poison = (name: Name): Readonly<Record<string, number>> => cluster.region(name).metrics().poison;
      for (const name of NAMES) await move(name, [first]);
      using writers = await SessionWriters.on(cluster);
      // Known everywhere before anyone signs with it; forgotten only after nobody does.
      for (const keys of [[first, second], [second, first], [second]]) {
        for (const name of NAMES) await move(name, keys);
        await writers.more(5);
        await writers.met();
        for (const name of NAMES) expect(poison(name), name).toEqual({});
      }
      for (const [keys, reason] of [
        [[first], "unknown-key"],
        [undefined, "unsigned"],
      ] as const) {
        await move("eu-west", keys);
        const since = {
          "us-east": writers.written["us-east"] + 1,
          "eu-west": writers.written["eu-west"] + 1,
        };
        await writers.more(10);
        await vi.waitFor(() => {
          expect(poison("us-east")[reason]).toBeGreaterThan(0);
          expect(poison("eu-west")["unknown-key"]).toBeGreaterThan(0);
          expect(cluster.region("us-east").health().reasons.join()).toContain("keep failing");
        }, HEALED_MS);
        expect(writers.held("eu-west", "us-east", since["us-east"])).toEqual([]);
        expect(writers.held("us-east", "eu-west", since["eu-west"])).toEqual([]);
      }
      await move("eu-west", [second]);
      await writers.met();
      await writers.stop();
      await cluster.converged();
      writers.expectAllOnce();
    });
  });
}

/** Lets time pass that a fault lasts. */
function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
