import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findServer, type ServerRelease } from "./find-server.ts";
import { freePort } from "./free-port.ts";
import { ServerProcess, temporaryFolder } from "./server-process.ts";

/** How a NATS server is started. */
export interface NatsOptions {
  readonly release?: ServerRelease;
  /**
   * More lines of its configuration, given the folder and port: accounts, leaf nodes, a cluster. Without `jetstream` in
   * them JetStream is on, with its store in the folder.
   */
  readonly config?: (server: { readonly dir: string; readonly port: number }) => string;
  /** Known beforehand, for servers that name each other. @defaultValue a free one */
  readonly port?: number;
}

/** A NATS server with JetStream on a loopback port of its own. */
export class NatsServer extends ServerProcess {
  readonly port: number;

  constructor(port: number, plan: ConstructorParameters<typeof ServerProcess>[0]) {
    super(plan);
    this.port = port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }
}

/** Starts one and resolves once it is ready. Stop it with `await server.remove()`. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const binary = await findServer("nats", options.release);
  const port = options.port ?? (await freePort());
  const dir = temporaryFolder("nats");
  const more = options.config?.({ dir, port }) ?? "";
  const jetstream = /^\s*jetstream\b/m.test(more) ? "" : `jetstream { store_dir: "${join(dir, "js")}" }\n`;
  const file = join(dir, "server.conf");
  writeFileSync(file, `listen: "127.0.0.1:${port}"\n${jetstream}${more}\n`);
  const server = new NatsServer(port, { binary, args: ["-c", file], ready: /Server is ready/, dir });
  await server.start();
  return server;
}
