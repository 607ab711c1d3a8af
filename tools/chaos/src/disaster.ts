import type { Random } from "@tidemark/simulator";
import type { Broker } from "./broker.ts";
import type { RegionHandle } from "./region-handle.ts";

/** What a disaster may touch. */
export interface Scene {
  readonly random: Random;
  readonly broker: Broker;
  readonly regions: readonly RegionHandle[];
  /** Resolves once the clients have had so many more answers. */
  progress(answers: number): Promise<void>;
  /** Resolves once some more of the clients' time has passed, whether they get anywhere or not. */
  pass(ms: number): Promise<void>;
}

/** Something bad that happens and is over when the promise resolves. */
export interface Disaster {
  readonly name: string;
  run(scene: Scene): Promise<void>;
}

/** Answers between the two halves of a disaster: enough that both sides have written. */
const MEANWHILE = 10;

async function killRegion({ random, regions, progress }: Scene): Promise<void> {
  const region = random.pick(regions);
  await region.kill();
  await progress(MEANWHILE);
  await region.start();
}

async function killBroker({ broker, progress }: Scene): Promise<void> {
  await broker.kill();
  await progress(MEANWHILE);
  await broker.start();
}

async function killBoth({ random, broker, regions, progress }: Scene): Promise<void> {
  const region = random.pick(regions);
  await Promise.all([region.kill(), broker.kill()]);
  await progress(MEANWHILE);
  await Promise.all([region.start(), broker.start()]);
}

async function killEveryRegion({ regions }: Scene): Promise<void> {
  await Promise.all(regions.map((region) => region.kill()));
  await Promise.all(regions.map((region) => region.start()));
}

async function forget({ broker, progress }: Scene): Promise<void> {
  await broker.forget();
  await progress(MEANWHILE);
  await broker.start();
}

/** The broker is replaced by one that lacks its last frames. */
async function failOver({ broker, progress }: Scene): Promise<void> {
  await broker.kill();
  broker.save();
  await broker.start();
  await progress(MEANWHILE);
  await broker.kill();
  broker.putBack();
  await broker.start();
}

async function freezeBroker({ broker, pass }: Scene): Promise<void> {
  broker.freeze();
  try {
    await pass(300);
  } finally {
    broker.thaw();
  }
}

async function cutLink({ random, broker, regions, progress }: Scene): Promise<void> {
  const link = broker.link(random.pick(regions).name);
  link.cut();
  await progress(MEANWHILE);
  link.heal();
}

async function stallLink({ random, broker, regions, progress }: Scene): Promise<void> {
  const link = broker.link(random.pick(regions).name);
  if (random.chance(0.5)) link.stall();
  else link.halfOpen();
  await progress(MEANWHILE);
  link.heal();
}

async function flapLink({ random, broker, regions, pass }: Scene): Promise<void> {
  const link = broker.link(random.pick(regions).name);
  for (let times = 0; times < 5; times++) {
    link.cut();
    await pass(50);
    link.heal();
    await pass(50);
  }
}

/** Every disaster, the frequent ones first: a run of so many cycles takes them in turn, in an order drawn from its seed. */
export const DISASTERS: readonly Disaster[] = [
  { name: "kill a region", run: killRegion },
  { name: "kill the broker", run: killBroker },
  { name: "kill a region and the broker", run: killBoth },
  { name: "kill every region", run: killEveryRegion },
  { name: "the broker forgets everything", run: forget },
  { name: "fail over to a broker that lacks the end", run: failOver },
  { name: "freeze the broker", run: freezeBroker },
  { name: "cut a link", run: cutLink },
  { name: "stall a link", run: stallLink },
  { name: "flap a link", run: flapLink },
];
