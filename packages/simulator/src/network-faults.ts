import type { FaultContext, FaultMaker } from "./fault.ts";
import { BROKER } from "./medium.ts";
import type { World } from "./world.ts";

/** Faults of links, and of what is under way on them. */
export const NETWORK_FAULTS: readonly FaultMaker[] = [
  cutOneWay,
  cutBothWays,
  isolate,
  flap,
  slowLink,
  lossy,
  repeating,
  reordering,
  farAway,
];

function cutOneWay(context: FaultContext): ReturnType<FaultMaker> {
  const { random } = context;
  const [from, to] = linkOf(context);
  const silent = random.chance(0.3);
  return {
    name: silent ? "silent cut" : "cut one way",
    target: `${from}>${to}`,
    holds: `links of ${from}`,
    apply: ({ network }) => network.cut(from, to, { silent }),
    heal: ({ network }) => network.heal(from, to),
  };
}

function cutBothWays(context: FaultContext): ReturnType<FaultMaker> {
  const [one, other] = linkOf(context);
  return {
    name: "cut both ways",
    target: `${one}-${other}`,
    holds: `links of ${one}`,
    apply: ({ network }) => {
      network.cut(one, other);
      network.cut(other, one);
    },
    heal: ({ network }) => {
      network.heal(one, other);
      network.heal(other, one);
    },
  };
}

function isolate({ world, random }: FaultContext): ReturnType<FaultMaker> {
  const name = random.pick([...world.machines.keys()]);
  const ends = endsOf(world, name);
  return {
    name: "isolate",
    target: name,
    holds: `links of ${name}`,
    apply: ({ network }) => {
      for (const end of ends) {
        network.cut(name, end);
        network.cut(end, name);
      }
    },
    heal: ({ network }) => network.heal(name),
  };
}

function flap(context: FaultContext): ReturnType<FaultMaker> {
  const [from, to] = linkOf(context);
  const everyMs = context.random.between(20, 200);
  let end = (): void => undefined;
  return {
    name: "flap",
    target: `${from}>${to}`,
    holds: `links of ${from}`,
    apply: ({ network, time }) => {
      end = network.flap(from, to, everyMs, time.now() + everyMs * 20);
    },
    heal: () => end(),
  };
}

function slowLink(context: FaultContext): ReturnType<FaultMaker> {
  const [from, to] = linkOf(context);
  const bytesPerSecond = context.random.pick([1, 100, 10_000]);
  return {
    name: "slow link",
    target: `${from}>${to}`,
    holds: `links of ${from}`,
    apply: ({ network }) => network.slow(from, to, { bytesPerSecond }),
    heal: ({ network }) => network.heal(from, to),
  };
}

function lossy({ random }: FaultContext): ReturnType<FaultMaker> {
  return rates("loss", random.next() * 0.5);
}

function repeating({ random }: FaultContext): ReturnType<FaultMaker> {
  return rates("duplicate", random.next());
}

function reordering({ random }: FaultContext): ReturnType<FaultMaker> {
  return rates("reorder", random.next());
}

function rates(kind: "loss" | "duplicate" | "reorder", share: number): ReturnType<FaultMaker> {
  return {
    name: kind,
    target: share.toFixed(2),
    holds: "rates",
    apply: ({ network }) => network.rates({ [kind]: share }),
    heal: ({ network }) => network.rates({}),
  };
}

function farAway({ world, random }: FaultContext): ReturnType<FaultMaker> {
  const maxMs = random.between(50, 1_500);
  const before = world.options.network?.delay ?? { minMs: 1, maxMs: 5 };
  return {
    name: "delay",
    target: `${maxMs} ms`,
    holds: "delay",
    apply: ({ network }) => network.delay({ minMs: 1, maxMs }),
    heal: ({ network }) => network.delay(before),
  };
}

/** Two ends of a link that frames take. */
function linkOf({ world, random }: FaultContext): [string, string] {
  const name = random.pick([...world.machines.keys()]);
  const other = random.pick(endsOf(world, name));
  return random.chance(0.5) ? [name, other] : [other, name];
}

/** The other ends of the links that a machine's frames take. */
function endsOf({ network, machines }: World, name: string): string[] {
  return network.medium === "broker" ? [BROKER] : [...machines.keys()].filter((other) => other !== name);
}
