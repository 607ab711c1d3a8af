import { encodeKey, type Kv, type KvKey } from "@tidemark/kv";
import { findServer, startNats, type NatsOptions, type NatsServer } from "@tidemark/servers";
import { onTestFinished } from "vitest";
import { openNatsKv, type NatsKvOptions } from "../src/index.ts";

/** For connections in tests: back within a moment. */
export const RECONNECT = { reconnectTimeWait: 20, reconnectJitter: 20 };

/** Whether a server can be had. Where it cannot, the tests are skipped with one line; in CI that is a failure. */
export async function haveNats(): Promise<boolean> {
  try {
    await findServer("nats");
    return true;
  } catch (error) {
    if (process.env["CI"] !== undefined) throw error;
    process.stderr.write(`Skipped: ${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}

export async function serverFor(options: NatsOptions = {}): Promise<NatsServer> {
  const server = await startNats(options);
  onTestFinished(() => server.remove());
  return server;
}

/** A store for one test. */
export async function storeOn(port: number, options: Partial<NatsKvOptions> = {}): Promise<Kv> {
  const connection = { servers: `nats://127.0.0.1:${port}`, ...RECONNECT };
  const kv = await openNatsKv({ connection, provision: "create", ...options });
  onTestFinished(() => kv.close());
  return kv;
}

export const KEY: KvKey = encodeKey(["register"]);

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export async function valueOf(kv: Kv, partition: string): Promise<string | undefined> {
  const [found] = await kv.get(partition, [KEY]);
  return found === undefined ? undefined : new TextDecoder().decode(found);
}
