import { expect, test } from "vitest";
import { Client } from "../src/index.ts";
import type { SimBroker } from "../src/index.ts";
import { play, seeds } from "./scenario.ts";

const OVER_BROKER = { network: { medium: "broker", repeatWindow: 4 } } as const;

/** Does something to the broker again and again while clients write. */
function upset(what: (broker: SimBroker, turn: number) => void): Promise<void> {
  return play({
    seeds: seeds(3),
    world: OVER_BROKER,
    faults: async ({ network, time }) => {
      for (let turn = 0; turn < 8; turn++) {
        await time.sleep(250);
        what(network.broker, turn);
      }
    },
  });
}

test("scenario 18: the broker forgets positions, deletes its streams and renumbers them: B and J hold", () =>
  upset((broker, turn) => {
    if (turn % 3 === 0) broker.forgetPositions();
    else if (turn % 3 === 1) broker.deleteStreams();
    else broker.renumber();
  }));

test("scenario 19: the broker trims what a follower that is away has not read: it is fetched from logs", () =>
  play({
    seeds: seeds(3),
    world: OVER_BROKER,
    faults: async (world) => {
      const { network, time } = world;
      const client = new Client(world, { name: "writer", user: "ada", region: "us-east" });
      await client.write({ operation: "start", session: "trimmed" });
      for (let turn = 0; turn < 4; turn++) {
        network.cut("broker", "ap-south");
        for (let note = 0; note < 4; note++) {
          await client.write({ operation: "annotate", session: "trimmed", text: `note ${turn} ${note}` });
          await time.sleep(50);
        }
        network.broker.trim(1);
        network.heal();
        await time.sleep(150);
      }
    },
    after: ({ machines }) => {
      expect(machines.get("ap-south")!.region!.metrics().rangesAsked).toBeGreaterThan(0);
    },
  }));

test("scenario 20: frames are sent again after the broker's window for repeats: each counts once", () =>
  upset((broker) => broker.duplicate(20)));

test("scenario 21: the broker fails over to a replica that lacks the last frames, and the old one returns: A and B hold", () =>
  play({
    seeds: seeds(3),
    world: OVER_BROKER,
    faults: async ({ network, time }) => {
      for (let turn = 0; turn < 4; turn++) {
        network.broker.failover(5);
        await time.sleep(400);
        network.broker.returnOld();
        await time.sleep(200);
      }
    },
  }));

test("scenario 42: the transport is switched in mid-stream, one region after the other, and back", () =>
  play({
    seeds: seeds(3),
    workload: { turns: 60 },
    faults: async ({ network, time, machines }) => {
      for (const medium of ["broker", "direct", "broker"] as const) {
        network.medium = medium;
        for (const machine of machines.values()) {
          await time.sleep(150);
          await machine.stop();
          await machine.start();
        }
      }
    },
  }));
