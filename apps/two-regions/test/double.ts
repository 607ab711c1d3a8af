import type { OperationPosition, Region } from "@tidemark/region";
import { REGION_NAMES } from "../src/link.ts";
import { LocalRegion } from "../src/local-region.ts";
import type { Cluster } from "../src/region-driver.ts";

/** A fault planted in the double, to see the demo find it. */
export type Fault =
  | "loses a signal"
  | "counts retries twice"
  | "shows hides while cut"
  | "forgets tickets"
  | "unhides by a late hide"
  | "accepts after close"
  | "differs in digest";

interface Op {
  readonly effectId: string;
  readonly stamp: number;
  readonly kind: string;
  readonly session: string;
  readonly user: string;
  readonly fields: readonly unknown[];
  /** Effects an unhide has seen. */
  readonly observed: readonly string[];
}

/** A ticket stands alone with this many operations that are not everywhere yet. */
const TICKET_OPS_MAX = 5;

type Fields = Record<string, unknown>;

interface Change {
  readonly kind: string;
  readonly position: OperationPosition;
}

function positionOf({ session, effectId, stamp }: Op): OperationPosition {
  return { session, lane: effectId, seqno: stamp };
}

/**
 * Three regions as simple as can be, to try the player on: each holds a set of operations, sends them to the
 * others on a microtask while the link is up, and reads by sorting and replaying everything.
 */
export function openDouble(fault?: Fault): Cluster {
  const links = new Set<string>();
  const regions = REGION_NAMES.map((name) => new RegionDouble(name, fault, links));
  for (const region of regions) region.all = regions;
  let clock = 0;
  const tick = (): number => ++clock;
  for (const region of regions) region.tick = tick;
  return {
    network: {
      cut: (a) => {
        for (const b of REGION_NAMES) if (a !== b) links.add(`${a} ${b}`).add(`${b} ${a}`);
      },
      heal: () => {
        links.clear();
        for (const region of regions) region.share();
      },
    },
    regions: regions.map((region) => new LocalRegion(region.asRegion())),
    close: async () => {},
  };
}

class RegionDouble {
  readonly name: string;
  readonly #fault: Fault | undefined;
  readonly #links: ReadonlySet<string>;
  readonly ops = new Map<string, Op>();
  readonly #listeners = new Set<(change: Change) => void>();
  all: readonly RegionDouble[] = [];
  tick: () => number = () => 0;
  duplicates = 0;

  constructor(name: string, fault: Fault | undefined, links: ReadonlySet<string>) {
    this.name = name;
    this.#fault = fault;
    this.#links = links;
  }

  receive(op: Op): void {
    const known = this.ops.get(op.effectId);
    if (known !== undefined && (this.#fault !== "counts retries twice" || known.stamp === op.stamp)) {
      this.duplicates++;
      if (op.stamp < known.stamp) this.ops.set(op.effectId, op);
      return;
    }
    const key = known === undefined ? op.effectId : `${op.effectId} again`;
    if (this.#fault === "loses a signal" && op.kind === "signal" && op.stamp % 10 === 7) return;
    this.ops.set(key, op);
    for (const listener of this.#listeners) listener({ kind: op.kind, position: positionOf(op) });
  }

  share(): void {
    for (const other of this.all) {
      if (other === this || this.#links.has(`${this.name} ${other.name}`)) continue;
      for (const [key, op] of this.ops) if (other.ops.get(key)?.stamp !== op.stamp) other.receive(op);
    }
  }

  async write(
    session: string,
    user: string,
    kind: string,
    fields: readonly unknown[],
    { operationId }: Fields,
  ) {
    const effectId = `effect ${String(operationId)}`;
    const outcome = this.ops.has(effectId) ? "duplicate" : "applied";
    if (outcome === "applied") {
      const state = this.state(session);
      const isRefused = state?.open === false && this.#fault !== "accepts after close";
      if (isRefused) return { outcome: "refused", reason: "SESSION_CLOSED" };
      if (kind === "signal" && Math.abs(fields[2] as number) >= 2 ** 40) {
        throw Object.assign(new Error("too heavy"), { code: "INVALID_WEIGHT" });
      }
    }
    const hides = [...this.ops.values()].filter((op) => op.kind === "hide" && op.user === user);
    const observed = hides.filter((op) => op.fields[0] === fields[0]).map((op) => op.effectId);
    const op: Op = { effectId, stamp: this.tick(), kind, session, user, fields, observed };
    this.receive(op);
    await new Promise((resolve) => setImmediate(resolve));
    for (const other of this.all) {
      if (other !== this && !this.#links.has(`${this.name} ${other.name}`))
        queueMicrotask(() => other.receive(op));
    }
    return { outcome, effectId, position: positionOf(op) };
  }

  sorted(): Op[] {
    return [...this.ops.values()].sort((a, b) => a.stamp - b.stamp);
  }

  state(id: string): (Fields & { open: boolean; user: string }) | undefined {
    const ops = this.sorted().filter((op) => op.session === id);
    const start = ops.find((op) => op.kind === "start");
    if (start === undefined) return undefined;
    const signals = new Map<string, Map<string, { count: number; weight: number }>>();
    for (const { kind, fields } of ops) {
      if (kind !== "signal") continue;
      const [entity, signal, weight] = fields as [string, string, number];
      const sums = signals.get(entity) ?? new Map<string, { count: number; weight: number }>();
      const sum = sums.get(signal) ?? { count: 0, weight: 0 };
      signals.set(entity, sums.set(signal, { count: sum.count + 1, weight: sum.weight + weight }));
    }
    const of = (kind: string): Op[] => ops.filter((op) => op.kind === kind);
    return {
      user: start.user,
      agent: start.fields[0],
      metadata: start.fields[1],
      open: of("close").length === 0,
      signals,
      hints: new Map(of("prefer").map(({ fields }) => fields as [string, string])),
      annotations: of("annotate").map(({ fields }) => ({ text: fields[0] })),
      searches: of("search")
        .slice(-100)
        .map(({ fields }) => fields[0]),
    };
  }

  hidden(user: string): { readonly items: Set<string>; readonly withheld: number } {
    const ops = [...this.ops.values()].filter((op) => op.user === user);
    const removed = new Set<string>();
    const pending = new Set<string>();
    for (const op of ops) {
      if (op.kind !== "unhide") continue;
      const isStable = this.all.every((region) => region.ops.has(op.effectId));
      for (const dot of op.observed) (isStable ? removed : pending).add(dot);
    }
    const hides = ops.filter((op) => op.kind === "hide" && !removed.has(op.effectId));
    const isBroken = this.#fault === "shows hides while cut" && this.#links.size > 0;
    const items = new Set(isBroken ? [] : hides.map((op) => op.fields[0] as string));
    if (this.#fault === "unhides by a late hide" && hides.length % 5 === 4)
      items.delete(hides[0]!.fields[0] as string);
    return { items, withheld: hides.filter((op) => pending.has(op.effectId)).length };
  }

  user(id: string): object {
    return {
      id,
      hidden: () => [...this.hidden(id).items],
      filterVisible: (items: string[]) => items.filter((item) => !this.hidden(id).items.has(item)),
      withheld: () => this.hidden(id).withheld,
      sessions: ({ after }: { after?: string }) =>
        after === undefined
          ? [...this.ops.values()]
              .filter((op) => op.kind === "start" && op.user === id)
              .map((op) => op.session)
          : [],
      ticket: () => {
        const ops = [...this.ops.values()].filter((op) => op.user === id);
        const unstable = ops.filter((op) => !this.all.every((region) => region.ops.has(op.effectId)));
        return { complete: unstable.length <= TICKET_OPS_MAX, toString: () => JSON.stringify(ops) };
      },
    };
  }

  session(id: string): object | undefined {
    const { user } = this.state(id) ?? {};
    if (user === undefined) return undefined;
    const call =
      (kind: string, count: number) =>
      (...args: unknown[]): unknown =>
        this.write(id, user, kind, args.slice(0, count), args[count] as Fields);
    return {
      state: () => this.state(id),
      signal: call("signal", 3),
      prefer: call("prefer", 2),
      annotate: call("annotate", 1),
      hide: call("hide", 1),
      unhide: call("unhide", 1),
      search: call("search", 1),
      close: call("close", 0),
    };
  }

  asRegion(): Region {
    return {
      name: this.name,
      role: this.name === "ap-south" ? "follower" : "member",
      sessions: {
        get: (id: string) => this.session(id),
        start: async ({ id, user, agent, metadata, operationId }: Fields) => {
          const known = [...this.ops.values()].find((op) => op.kind === "start" && op.session === id);
          if (known !== undefined && known.effectId !== `effect ${String(operationId)}`) {
            throw Object.assign(new Error("exists"), { code: "SESSION_EXISTS" });
          }
          await this.write(id as string, user as string, "start", [agent, metadata], { operationId });
        },
      },
      users: {
        get: (user: string) => this.user(user),
        resume: async (user: string, { ticket }: { ticket: string }) => {
          if (this.#fault !== "forgets tickets") {
            for (const op of JSON.parse(ticket) as Op[]) if (!this.ops.has(op.effectId)) this.receive(op);
          }
          return this.user(user);
        },
      },
      health: () => ({
        opsApplied: this.ops.size,
        duplicates: this.duplicates,
        unhidesPending: 0,
        walSegments: 1,
        durableLsn: { signals: 0, sessions: this.ops.size },
      }),
      certificate: () => ({
        vector: { all: this.ops.size },
        digest: this.#fault === "differs in digest" && this.name === "ap-south" ? "ff" : "00",
      }),
      onChange: (listener: (change: Change) => void) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    } as unknown as Region;
  }
}
