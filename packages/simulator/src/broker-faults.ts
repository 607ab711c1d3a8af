import type { Fault, FaultContext, FaultMaker } from "./fault.ts";
import type { SimBroker } from "./sim-broker.ts";

/** Faults of a broker; none where frames go from machine to machine. */
export const BROKER_FAULTS: readonly FaultMaker[] = [
  once("broker restart", (broker, { random }) => broker.restart({ downMs: random.between(1, 3_000) })),
  once("broker forgets positions", (broker) => broker.forgetPositions()),
  once("broker deletes streams", (broker) => broker.deleteStreams()),
  once("broker renumbers", (broker) => broker.renumber()),
  once("broker trims", (broker, { random }) => broker.trim(random.between(0, 5))),
  once("broker repeats", (broker, { random }) => broker.duplicate(random.between(1, 20))),
  (context) => {
    if (context.world.network.medium !== "broker") return undefined;
    const lag = context.random.between(1, 10);
    return fault("broker failover", {
      apply: ({ network }) => network.broker.failover(lag),
      heal: ({ network }) => network.broker.returnOld(),
    });
  },
  (context) => {
    if (context.world.network.medium !== "broker") return undefined;
    return fault("broker freeze", {
      apply: ({ network }) => network.broker.freeze(),
      heal: ({ network }) => network.broker.heal(),
    });
  },
];

function once(name: string, run: (broker: SimBroker, context: FaultContext) => void): FaultMaker {
  return (context) => {
    if (context.world.network.medium !== "broker") return undefined;
    return fault(name, { apply: ({ network }) => run(network.broker, context) });
  };
}

function fault(name: string, how: Pick<Fault, "apply" | "heal">): Fault {
  return { name, target: "broker", holds: "broker", ...how };
}
