import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { nodeListener } from "@tidemark/live-http/node";
import { build } from "esbuild";

/** A server on loopback. */
export class LocalServer implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Starts one on a free port. */
  static async start(handler: (request: Request) => Promise<Response>): Promise<LocalServer> {
    const server = createServer(nodeListener(handler));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new LocalServer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Answers with the page, and with the client that it loads. */
export async function pageHandler(): Promise<(request: Request) => Promise<Response>> {
  const html = readFileSync(new URL("page.html", import.meta.url), "utf8");
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(import.meta.resolve("@tidemark/live-http/client"))],
    bundle: true,
    conditions: ["@tidemark/source"],
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
  });
  const client = outputFiles[0]!.text;
  return async (request) => {
    switch (new URL(request.url).pathname) {
      case "/":
        return new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } });
      case "/client.js":
        return new Response(client, { headers: { "content-type": "text/javascript; charset=utf-8" } });
      default:
        return new Response(null, { status: 404 });
    }
  };
}
