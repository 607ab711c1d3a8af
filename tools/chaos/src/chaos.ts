import { History, Random, type Violation } from "@tidemark/simulator";
import type { BrokerName } from "./broker.ts";
import { Client } from "./client.ts";
import { Cluster } from "./cluster.ts";
import { DISASTERS, type Scene } from "./disaster.ts";
import { judge } from "./judge.ts";
import { Progress } from "./progress.ts";

/** How a run goes. */
export interface ChaosOptions {
  readonly broker: BrokerName;
  /** Disasters, one after the other. */
  readonly cycles: number;
  readonly seed: number;
  /** Told of each disaster before it happens. */
  readonly onCycle?: (cycle: number, name: string) => void;
}

/** What came of it. */
export interface ChaosResult {
  readonly broker: BrokerName;
  readonly seed: number;
  readonly cycles: number;
  /** How often each disaster happened. */
  readonly disasters: Readonly<Record<string, number>>;
  /** Writes that were acknowledged, and those of which nobody knows. */
  readonly acknowledged: number;
  readonly unknown: number;
  readonly reads: number;
  readonly roams: number;
  /** From the last heal until every region had everything, milliseconds. */
  readonly convergedMs: number;
  /** Invariants that did not hold, each with what shows it. */
  readonly violations: readonly Violation[];
}

const USERS = ["ada", "grace"];
const CLIENTS = 6;
/** Answers between two disasters. */
const BETWEEN = 20;

/**
 * Lets disasters happen to three regions over a real broker while clients write, and judges what clients were told and
 * saw, what every region shows in the end, and the bytes of their directories. What a region applies in its process, and
 * when, is not observed here: that is the simulator's.
 */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const { broker, cycles, seed } = options;
  const random = new Random(seed);
  const began = performance.now();
  const now = (): number => performance.now() - began;
  const history = new History({ now });
  await using cluster = await Cluster.start(broker, random.fork("key").bytes(32), history);
  const { regions } = cluster;
  const progress = new Progress();
  const clients = Array.from({ length: CLIENTS }, (_, index) => {
    const name = `client-${index}`;
    const user = USERS[index % USERS.length]!;
    const answered = (): void => progress.note();
    return new Client({ name, user, random: random.fork(name), history, regions, now, answered });
  });
  let running = true;
  const loops = Promise.all(
    clients.map(async (client) => {
      while (running) await client.step();
    }),
  );
  const scene: Scene = {
    random: random.fork("disasters"),
    broker: cluster.broker,
    regions,
    progress: (answers) => progress.after(answers),
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
  // A client that fails ends the run.
  const disasters = await Promise.race([happen(scene, history, options), loops.then(() => ({}))]);
  running = false;
  await loops;
  return {
    broker,
    seed,
    cycles,
    disasters,
    ...countsOf(history),
    ...(await judge({ history, regions, now })),
  };
}

/** Every disaster once, in an order drawn from the seed, then again in another. */
async function happen(
  scene: Scene,
  history: History,
  { broker, cycles, onCycle }: ChaosOptions,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let order: typeof DISASTERS = [];
  for (let cycle = 0; cycle < cycles; cycle++) {
    if (cycle % DISASTERS.length === 0) order = scene.random.shuffle(DISASTERS);
    const { name, run } = order[cycle % DISASTERS.length]!;
    onCycle?.(cycle, name);
    history.fault(name, broker);
    await run(scene);
    counts[name] = (counts[name] ?? 0) + 1;
    await scene.progress(BETWEEN);
  }
  return counts;
}

function countsOf({ events }: History): Pick<ChaosResult, "acknowledged" | "unknown" | "reads" | "roams"> {
  const outcomes = events.map((event) => (event.type === "write" ? event.outcome?.kind : undefined));
  const ofType = (wanted: string): number => events.filter(({ type }) => type === wanted).length;
  return {
    acknowledged: outcomes.filter((kind) => kind === "applied" || kind === "duplicate").length,
    unknown: outcomes.filter((kind) => kind === "unknown").length,
    reads: ofType("read"),
    roams: ofType("roam"),
  };
}
