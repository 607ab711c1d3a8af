import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { lookup } from "node:dns/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { openFaultProxy, type FaultProxy } from "@tidemark/servers";
import { REGION_NAMES } from "./link.ts";
import type { Network } from "./region-driver.ts";
import { startBroker } from "./started-broker.ts";
import type { BrokerName } from "./transports.ts";

/** What the regions share: a broker, a way to it for each of them, and a key. */
export interface Broker {
  /** By region: where it finds the broker. */
  readonly urls: readonly string[];
  readonly network: Network;
  close(): Promise<void>;
}

/** The broker that was named cannot be used; told in one line. */
export class BrokerUnusable extends Error {
  override readonly name = "BrokerUnusable";
}

const DEFAULT_PORTS = { nats: 4222, redis: 6379 };
const PROTOCOLS = { nats: "nats:", redis: "redis:" };
const CONNECT_MS = 5_000;

/**
 * Reaches the broker at `url`, or starts one that is gone with the run. Each region has a wire of its own to it, which is
 * what is cut: a region that has lost the broker has lost all others.
 *
 * @throws NoBroker where none can be started, with how to get one.
 * @throws BrokerUnusable where the one that was named is of no use.
 */
export async function openBroker(name: BrokerName, url: string | undefined): Promise<Broker> {
  const server = url === undefined ? await startBroker(name) : undefined;
  const proxies: FaultProxy[] = [];
  const close = async (): Promise<void> => {
    for (const proxy of proxies) await proxy.close();
    await server?.stop();
  };
  try {
    const address = addressOf(name, url ?? server!.url);
    const port = address.port === "" ? DEFAULT_PORTS[name] : Number(address.port);
    const host = await reach(address, port);
    for (const _ of REGION_NAMES) proxies.push(await openFaultProxy({ target: port, host }));
    const urls = proxies.map((proxy) => {
      const near = new URL(address);
      near.hostname = "127.0.0.1";
      near.port = String(proxy.port);
      return near.href;
    });
    const network: Network = {
      cut: (region) => proxies[(REGION_NAMES as readonly string[]).indexOf(region)]!.cut(),
      heal: () => {
        for (const proxy of proxies) proxy.heal();
      },
    };
    return { urls, network, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function addressOf(name: BrokerName, text: string): URL {
  const address = URL.canParse(text) ? new URL(text) : undefined;
  if (address === undefined || address.hostname === "")
    throw new BrokerUnusable(
      `Cannot use ${name} at ${JSON.stringify(text)}: give a URL such as ${example(name)}`,
    );
  if (address.protocol !== PROTOCOLS[name])
    throw new BrokerUnusable(
      `Cannot use ${name} at ${address.protocol}//${address.host}: the demo cuts its own wires, which it has to be able to read (${example(name)})`,
    );
  return address;
}

function example(name: BrokerName): string {
  return `${PROTOCOLS[name]}//127.0.0.1:${DEFAULT_PORTS[name]}`;
}

/** Resolves with the address that answers. */
async function reach({ hostname }: URL, port: number): Promise<string> {
  const bare = hostname.replace(/^\[|\]$/g, "");
  try {
    const { address } = await lookup(bare);
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host: address, port, timeout: CONNECT_MS });
      const end = (): void => void socket.destroy();
      socket.once("connect", () => (end(), resolve()));
      socket.once("timeout", () => (end(), reject(new Error(`no answer after ${CONNECT_MS} ms`))));
      socket.once("error", reject);
    });
    return address;
  } catch (error) {
    throw new BrokerUnusable(`Cannot reach ${bare}:${port}: ${(error as Error).message}`, { cause: error });
  }
}

const KEY_FILE = "cluster.key";
const KEY_BYTES = 32;

/** The key of the cluster in a directory, made with it: what an earlier run left on a broker is under the same one. */
export function clusterKeyIn(dir: string): Uint8Array {
  const path = join(dir, KEY_FILE);
  if (existsSync(path)) return new Uint8Array(Buffer.from(readFileSync(path, "utf8").trim(), "hex"));
  const key = randomBytes(KEY_BYTES);
  writeFileSync(path, `${key.toString("hex")}\n`, { mode: 0o600 });
  return new Uint8Array(key);
}

/** What keeps a cluster apart from others on one broker. */
export function prefixOf(clusterKey: Uint8Array): string {
  return `two-regions-${createHash("sha256").update(clusterKey).digest("hex").slice(0, 8)}`;
}
