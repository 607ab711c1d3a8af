import { createServer } from "node:net";

/** Below what systems give to outgoing connections: a server that restarts finds its port as it left it. */
const [FIRST, COUNT] = [15_000, 15_000];
const ATTEMPTS_MAX = 100;

/** A loopback port that nobody listens on now. Another process may take it first: a start that fails is tried again. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) return port;
  }
  throw new Error(`No port from ${FIRST} to ${FIRST + COUNT - 1} is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
