import type { Session } from "@tidemark/region";
import { expect, test } from "vitest";
import { Client } from "../src/index.ts";
import { part, play, seeds } from "./scenario.ts";

test("scenario 13: every frame doubled, overtaken or late: B, C and D hold", () =>
  play({
    seeds: seeds(3),
    faults: ({ network }) => {
      network.rates({ duplicate: 1, reorder: 0.5 });
      network.delay({ minMs: 1, maxMs: 300 });
    },
    after: ({ network }) => {
      expect(network.counts.duplicated).toBeGreaterThan(20);
      expect(network.counts.reordered).toBeGreaterThan(20);
    },
  }));

test("scenario 14: frames that are lost for long hold the mark, and repair fetches them", () =>
  play({
    seeds: seeds(3),
    workload: { turns: 20 },
    faults: async (world) => {
      const { network, time } = world;
      const client = new Client(world, { name: "writer", user: "ada", region: "us-east" });
      await client.write({ operation: "start", session: "holed" });
      for (let turn = 0; turn < 10; turn++) {
        // Every other frame is lost, and nobody is told: what follows has to wait for it.
        if (turn % 2 === 0) network.cut("us-east", "eu-west", { silent: true });
        await client.write({ operation: "annotate", session: "holed", text: `note ${turn}` });
        network.heal("us-east", "eu-west");
        await time.sleep(20);
      }
    },
    after: ({ network, machines }) => {
      expect(network.counts.cut).toBeGreaterThan(0);
      expect(machines.get("eu-west")!.region!.metrics().rangesAsked).toBeGreaterThan(0);
    },
  }));

test("scenario 22: links cut one way, and flapping every 50 ms: all converges after the heal, without ping-pong", () =>
  play({
    seeds: seeds(3),
    faults: async ({ network, time }) => {
      network.cut("us-east", "eu-west");
      network.flap("eu-west", "ap-south", 50, time.now() + 2_000);
      network.flap("ap-south", "us-east", 50, time.now() + 2_000);
      await time.sleep(2_500);
    },
    after: async ({ network, time }) => {
      await time.advance(5_000);
      const before = network.counts.sent;
      await time.advance(10_000);
      // A heartbeat a second to and from each, and nothing that answers an answer.
      expect(network.counts.sent - before).toBeLessThanOrEqual(3 * 2 * 2 * 12);
    },
  }));

test("scenario 23: three parts, hides and unhides in each: hidden wherever the hide is known, and everywhere in the end", () =>
  play({
    seeds: seeds(6),
    workload: { turns: 60, mix: { hide: 20, unhide: 14, read: 25, signal: 10 } },
    faults: async (world) => {
      for (let turn = 0; turn < 3; turn++) {
        part(world, "us-east", "eu-west");
        part(world, "eu-west", "ap-south");
        part(world, "ap-south", "us-east");
        await world.time.sleep(500);
        world.network.heal();
        await world.time.sleep(100);
      }
    },
  }));

test("scenario 29: roaming there and back while cut, writing in each", () =>
  play({
    seeds: seeds(3),
    workload: { turns: 6 },
    faults: async (world) => {
      const client = new Client(world, { name: "traveller", user: "ada", region: "us-east" });
      await client.write({ operation: "start", session: "trip" });
      await world.time.sleep(50);
      part(world, "us-east", "eu-west");
      for (const [turn, region] of ["eu-west", "us-east", "eu-west", "us-east"].entries()) {
        await client.write({ operation: "annotate", session: "trip", text: `${turn}` });
        await client.write({ operation: "hide", session: "trip", item: `item ${turn}` });
        await client.roam(region);
        client.look("trip");
        client.read(["item 0", "item 1", "item 2", "item 3", "item 4"]);
      }
    },
    after: ({ history, machines }) => {
      const roams = history.events.filter((event) => event.type === "roam" && event.client === "traveller");
      expect(roams).toHaveLength(4);
      const { forks } = machines.get("us-east")!.region!.health();
      expect(forks).toBe(0);
    },
  }));

test("scenario 31: a follower that was cut off from a writer at full speed catches up, and nothing is dropped", () =>
  play({
    seeds: seeds(2),
    world: { network: { queueFramesMax: 4 } },
    workload: { turns: 150, thinkMsMax: 2, mix: { annotate: 60 } },
    faults: async (world) => {
      part(world, "us-east", "ap-south");
      part(world, "eu-west", "ap-south");
      await world.time.sleep(1_500);
    },
  }));

test("scenario 32: a gray follower, 5 s a sync and a byte a second, slows nobody, and its lag is seen", () =>
  play({
    seeds: seeds(3),
    workload: { turns: 15 },
    faults: async (world) => {
      const { network, machines, time } = world;
      machines.get("ap-south")!.disk.slow(5_000);
      for (const other of ["us-east", "eu-west"]) {
        network.slow("ap-south", other, { bytesPerSecond: 1 });
        network.slow(other, "ap-south", { bytesPerSecond: 1 });
      }
      const client = new Client(world, { name: "quick", user: "ada", region: "us-east" });
      const began = time.now();
      await client.write({ operation: "start", session: "quick" });
      const write = { operation: "annotate", session: "quick" } as const;
      await client.write({ ...write, text: "in two" }, { ack: { remote: 1 }, timeoutMs: 2_000 });
      expect(time.now() - began).toBeLessThan(1_000);
      const { region } = machines.get("us-east")!;
      const lags = region!.metrics().peers.map(({ peer, lagRecords }) => [peer, lagRecords > 0]);
      expect(Object.fromEntries(lags)).toEqual({ "eu-west": false, "ap-south": true });
    },
  }));

test("scenario 34: regions reconcile while both sides write, and one dies in the middle", () =>
  play({
    seeds: seeds(3),
    workload: { turns: 80 },
    faults: async (world) => {
      const { time, network, random } = world;
      for (let turn = 0; turn < 3; turn++) {
        part(world, "us-east", "eu-west");
        part(world, "ap-south", "eu-west");
        await time.sleep(600);
        const machine = world.machine(random.pick(["us-east", "eu-west"]));
        machine.armCrash(random.between(1, 60), random.pick(["kill", "crash"] as const));
        network.heal();
        await time.sleep(500);
        machine.kill();
        await machine.start();
      }
    },
  }));

test("scenario 30: cursors and tickets with a character changed, cut short, or of another session are refused at once", () =>
  play({
    seeds: seeds(2),
    workload: { turns: 10 },
    faults: async (world) => {
      const { machines, random, time } = world;
      const [east, west] = [machines.get("us-east")!.region!, machines.get("eu-west")!.region!];
      const [eve, mallory] = ["eve", "mallory"].map(
        (user) => new Client(world, { name: user, user, region: "us-east" }),
      ) as [Client, Client];
      await eve.write({ operation: "start", session: "hers" });
      await mallory.write({ operation: "start", session: "other" });
      const [session, other] = ["hers", "other"].map((id) => east.sessions.get(id)!) as [Session, Session];
      const spoilt = (token: string): string => {
        const at = random.between("tmc1.".length, token.length - 2);
        if (random.chance(0.3)) return token.slice(0, at);
        return `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
      };
      for (let turn = 0; turn < 8; turn++) {
        await eve.write({ operation: "annotate", session: "hers", text: `her note ${turn}` });
        const began = time.now();
        const [cursor, ticket] = [session.cursor().toString(), session.ticket().toString()];
        for (const bad of [spoilt(cursor), other.cursor().toString(), ticket])
          await expect(west.sessions.resume(session.id, { cursor: bad })).rejects.toMatchObject({
            code: expect.stringMatching(/^CURSOR_/),
          });
        for (const bad of [spoilt(ticket), other.ticket().toString(), cursor])
          await expect(west.users.resume("eve", { ticket: bad })).rejects.toMatchObject({
            code: expect.stringMatching(/^TICKET_/),
          });
        expect(time.now()).toBe(began);
        await time.sleep(20);
      }
    },
  }));
