import { cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openFaultProxy, startNats, startRedis } from "@tidemark/servers";
import type { FaultProxy, NatsServer, RedisServer } from "@tidemark/servers";

export const BROKERS = ["nats", "redis"] as const;
export type BrokerName = (typeof BROKERS)[number];

/** A real broker, and a link to it for each region that can be cut, stalled and slowed. */
export class Broker implements AsyncDisposable {
  readonly name: BrokerName;
  readonly #server: NatsServer | RedisServer;
  readonly #links: ReadonlyMap<string, FaultProxy>;

  constructor(name: BrokerName, server: NatsServer | RedisServer, links: ReadonlyMap<string, FaultProxy>) {
    this.name = name;
    this.#server = server;
    this.#links = links;
  }

  /** Where a region finds it: the near end of its own link. */
  urlFor(region: string): string {
    return `${this.name}://127.0.0.1:${this.link(region).port}`;
  }

  link(region: string): FaultProxy {
    const link = this.#links.get(region);
    if (link === undefined) throw new Error(`Region ${region} has no link to the broker`);
    return link;
  }

  /** `kill -9`; its files stay. */
  kill(): Promise<void> {
    return this.#server.kill();
  }

  start(): Promise<void> {
    return this.#server.start();
  }

  /** SIGSTOP: it holds its connections and answers nothing. */
  freeze(): void {
    this.#server.freeze();
  }

  thaw(): void {
    this.#server.thaw();
  }

  /** Kills it and throws away everything it stored. */
  async forget(): Promise<void> {
    await this.kill();
    for (const part of this.#parts()) rmSync(part, { recursive: true, force: true });
  }

  /** Notes what it has stored, while it is down. */
  save(): void {
    for (const part of this.#parts())
      if (existsSync(part)) cpSync(part, `${part}.saved`, { recursive: true });
  }

  /** Puts back what was noted, while it is down: a replica that lacks the end. */
  putBack(): void {
    for (const part of this.#parts()) {
      rmSync(part, { recursive: true, force: true });
      if (!existsSync(`${part}.saved`)) continue;
      cpSync(`${part}.saved`, part, { recursive: true });
      rmSync(`${part}.saved`, { recursive: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links.values()) await link.close();
    await this.#server.remove();
  }

  #parts(): string[] {
    const names = this.name === "nats" ? ["js"] : ["appendonlydir", "dump.rdb"];
    return names.map((name) => join(this.#server.dir, name));
  }
}

/** Starts a broker that keeps what it is given on its disk, and a link for each region. */
export async function startBroker(name: BrokerName, regions: readonly string[]): Promise<Broker> {
  const server =
    name === "nats"
      ? await startNats()
      : await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "everysec"] });
  const links = new Map<string, FaultProxy>();
  for (const region of regions) links.set(region, await openFaultProxy({ target: server.port }));
  return new Broker(name, server, links);
}
