import { findServer, type ServerRelease } from "./find-server.ts";
import { freePort } from "./free-port.ts";
import { ServerProcess, temporaryFolder } from "./server-process.ts";

/** How a Redis server is started. */
export interface RedisOptions {
  readonly release?: ServerRelease;
  /** More arguments, such as `["--appendonly", "yes"]`. */
  readonly args?: readonly string[];
  /** @defaultValue a free one */
  readonly port?: number;
}

/** A Redis or Valkey server on a loopback port of its own. */
export class RedisServer extends ServerProcess {
  readonly port: number;

  constructor(port: number, plan: ConstructorParameters<typeof ServerProcess>[0]) {
    super(plan);
    this.port = port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }
}

/** Starts one, without persistence unless told otherwise, and resolves once it is ready. Stop it with `await server.remove()`. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const binary = await findServer("redis", options.release);
  const port = options.port ?? (await freePort());
  const dir = temporaryFolder("redis");
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"];
  const server = new RedisServer(port, {
    binary,
    args: [...args, ...(options.args ?? [])],
    ready: /Ready to accept connections/i,
    dir,
  });
  await server.start();
  return server;
}
