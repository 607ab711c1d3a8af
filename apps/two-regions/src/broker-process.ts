// Starts a broker for the parent, and stops it when that is gone: also when that was killed.
import { startNats, startRedis } from "@tidemark/servers";
import type { FromBroker, ToBroker } from "./started-broker.ts";
import { crossing } from "./region-protocol.ts";

let stop: () => Promise<void> = async () => {};

process.on("message", (message) => void start(message as ToBroker));
process.on("disconnect", () => void stop().then(() => process.exit(0)));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

async function start({ broker }: ToBroker): Promise<void> {
  try {
    const server = broker === "nats" ? await startNats() : await startRedis();
    stop = () => server.remove();
    tell({ url: server.url });
  } catch (error) {
    tell({ error: crossing(error) });
  }
  // The parent may have gone while the server was being had.
  if (!process.connected) await stop().then(() => process.exit(0));
}

function tell(message: FromBroker): void {
  process.send?.(message, () => {});
}
