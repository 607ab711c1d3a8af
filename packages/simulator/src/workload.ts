import { Client } from "./client.ts";
import type { ClientWrite } from "./client.ts";
import type { WriteKind } from "./history-events.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** What a client may do in a turn. */
export type ClientAction = WriteKind | "read" | "look" | "roam";

/** What clients do in a run. */
export interface WorkloadOptions {
  /** Users, and devices of each at a time. @defaultValue 2 and 2 */
  readonly users?: number;
  readonly devices?: number;
  /** Turns of all clients together. @defaultValue 60 */
  readonly turns?: number;
  /** How likely each action is, beside the others; what is left out keeps its default. */
  readonly mix?: Readonly<Partial<Record<ClientAction, number>>>;
  /** Virtual milliseconds between two turns of a client, at most. @defaultValue 200 */
  readonly thinkMsMax?: number;
}

/** How likely each action is where nothing else is said. */
export const WORKLOAD_MIX: Readonly<Record<ClientAction, number>> = {
  start: 3,
  fork: 1,
  merge: 1,
  signal: 6,
  prefer: 4,
  annotate: 12,
  hide: 8,
  unhide: 5,
  mute: 2,
  unmute: 1,
  block: 2,
  unblock: 1,
  search: 3,
  app: 3,
  close: 1,
  erase: 0,
  read: 14,
  look: 8,
  roam: 8,
};

const ITEMS = ["Casablanca", "Metropolis", "Solaris", "Stalker", "Vertigo"];
const HINTS = ["language", "mood"];
const ENTITIES = ["film:1", "film:2"];
const SIGNALS = ["save", "skip"];
/** How likely an operation has an id, is sent again after it has failed, and is sent again though it has not. */
const NAMED = 0.6;
const RETRY_FAILED = 0.5;
const RETRY_DONE = 0.06;
/** How likely several writes are sent at a time, and waiting for other members. */
const BURST = 0.2;
const ACK_OTHERS = 0.08;
const ACK_TIMEOUT_MS = 1_500;
/** Turns without a region until a client goes elsewhere. */
const PATIENCE = 3;

/** Users with several devices each, that write, read, retry and roam as drawn from the seed. */
export class Workload {
  readonly #world: World;
  readonly #random: Random;
  readonly #turns: number;
  readonly #thinkMsMax: number;
  readonly #mix: readonly (readonly [ClientAction, number])[];
  readonly #mixTotal: number;
  readonly #clients: readonly Client[];
  #turn = 0;
  #names = 0;

  constructor(world: World, options: WorkloadOptions = {}) {
    const { users = 2, devices = 2, turns = 60, thinkMsMax = 200, mix = {} } = options;
    this.#world = world;
    this.#random = world.random.fork("workload");
    this.#turns = turns;
    this.#thinkMsMax = thinkMsMax;
    this.#mix = Object.entries({ ...WORKLOAD_MIX, ...mix }) as [ClientAction, number][];
    this.#mixTotal = this.#mix.reduce((sum, [, weight]) => sum + weight, 0);
    const regions = [...world.machines.keys()];
    this.#clients = Array.from({ length: users * devices }, (_, index) => {
      const user = `user-${index % users}`;
      return new Client(world, { name: `device-${index}`, user, region: this.#random.pick(regions) });
    });
  }

  /** Lets the clients take all their turns. */
  async run(): Promise<void> {
    await Promise.all(this.#clients.map((client) => this.#live(client)));
  }

  async #live(client: Client): Promise<void> {
    const random = this.#random.fork(client.name);
    const sent: ClientWrite[] = [];
    let waited = 0;
    while (this.#turn < this.#turns) {
      this.#turn += 1;
      await this.#world.time.sleep(random.next() * this.#thinkMsMax);
      if (client.connected) {
        waited = 0;
        await this.#act(client, random, sent);
      } else if (++waited >= PATIENCE) await this.#move(client, random);
    }
  }

  async #act(client: Client, random: Random, sent: ClientWrite[]): Promise<void> {
    const action = this.#draw(random);
    if (action === "read") return client.read(ITEMS);
    if (action === "roam") return this.#move(client, random);
    const known = client.sessions();
    if (action === "look") return known.length > 0 ? client.look(random.pick(known)) : undefined;
    const burst = random.chance(BURST) ? random.between(2, 4) : 1;
    const writes: Promise<void>[] = [];
    for (let index = 0; index < burst; index++) {
      const write = this.#next(client, random, { action, known, sent });
      writes.push(this.#send(client, random, write, sent));
    }
    await Promise.all(writes);
  }

  async #send(client: Client, random: Random, write: ClientWrite, sent: ClientWrite[]): Promise<void> {
    const ack = random.chance(ACK_OTHERS)
      ? ({ ack: random.chance(0.5) ? "all" : { remote: 1 }, timeoutMs: ACK_TIMEOUT_MS } as const)
      : {};
    const done = await client.write(write, ack);
    const again = write.operationId !== undefined && random.chance(done ? RETRY_DONE : RETRY_FAILED);
    if (again) sent.push(write);
  }

  /** What is written next: now and then something that was sent before, by its own id. */
  #next(
    client: Client,
    random: Random,
    how: { readonly action: WriteKind; readonly known: readonly string[]; readonly sent: ClientWrite[] },
  ): ClientWrite {
    const { action, known, sent } = how;
    const open = client.sessions({ open: true });
    if (sent.length > 0 && random.chance(0.5)) return sent.shift() as ClientWrite;
    const name = `${client.name}-${this.#names++}`;
    const named = random.chance(NAMED) ? { operationId: name } : {};
    if (open.length === 0 || action === "start")
      return { operation: "start", session: `s-${name}`, value: random.pick(["guide", "critic"]), ...named };
    const session = random.pick(random.chance(0.95) ? open : known);
    switch (action) {
      case "fork":
        return { operation: "fork", session: `s-${name}`, parents: [session], ...named };
      case "merge": {
        const parents = [session, random.pick(known)];
        if (parents[0] === parents[1]) return { operation: "annotate", session, text: name, ...named };
        return { operation: "merge", session: `s-${name}`, parents, ...named };
      }
      case "erase":
        return { operation: "erase", ...named };
      case "signal": {
        const weight = random.between(-4, 16) / 4;
        return {
          operation: action,
          session,
          entity: random.pick(ENTITIES),
          key: random.pick(SIGNALS),
          weight,
          ...named,
        };
      }
      case "prefer":
        return { operation: action, session, key: random.pick(HINTS), value: name, ...named };
      case "annotate":
        return {
          operation: action,
          session,
          text: name,
          ...(random.chance(0.3) ? { entity: random.pick(ENTITIES) } : {}),
          ...named,
        };
      case "search":
        return { operation: action, session, text: name, ...named };
      case "app":
        return { operation: action, session, key: "notes", text: name, ...named };
      case "close":
        return { operation: action, session, ...named };
      default:
        return { operation: action, session, item: random.pick(ITEMS), ...named };
    }
  }

  /** Goes to another region, mostly with what is in hand. */
  async #move(client: Client, random: Random): Promise<void> {
    const others = [...this.#world.machines.values()].filter(
      ({ name, region }) => name !== client.region && region !== undefined,
    );
    if (others.length === 0) return;
    const { name } = random.pick(others);
    if (random.chance(0.1)) client.leave(name);
    else await client.roam(name);
  }

  #draw(random: Random): ClientAction {
    let left = random.next() * this.#mixTotal;
    for (const [action, weight] of this.#mix) {
      left -= weight;
      if (left < 0) return action;
    }
    return "read";
  }
}
