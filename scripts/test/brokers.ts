import { ServerUnavailableError, startNats, startRedis } from "../../tools/servers/src/index.ts";

/** By the name of the variable in which a reader of a page has the address of such a server. */
const START = { NATS_URL: startNats, REDIS_URL: startRedis };

/** The brokers that a page's examples ask for in their environment, started for one run of them. */
export class Brokers implements AsyncDisposable {
  /** Their addresses, by variable. */
  readonly env: Record<string, string> = {};
  readonly #servers: AsyncDisposable[] = [];

  /** Without a server its variable is left out, with one line; in continuous integration that is a failure. */
  static async for(code: string): Promise<Brokers> {
    const brokers = new Brokers();
    for (const [variable, start] of Object.entries(START)) {
      if (!code.includes(variable)) continue;
      try {
        const server = await start();
        brokers.#servers.push(server);
        brokers.env[variable] = server.url;
      } catch (error) {
        if (!(error instanceof ServerUnavailableError) || process.env["CI"]) {
          await brokers[Symbol.asyncDispose]();
          throw error;
        }
        process.stderr.write(`Left out: ${error.message}\n`);
      }
    }
    return brokers;
  }

  /** Whether everything is there that an example asks for. */
  suffice(code: string): boolean {
    return Object.keys(START).every((variable) => variable in this.env || !code.includes(variable));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.splice(0)) await server[Symbol.asyncDispose]();
  }
}
