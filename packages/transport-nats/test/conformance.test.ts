import { startNats } from "@tidemark/servers";
import type { NatsServer, ServerRelease } from "@tidemark/servers";
import { describeTransport } from "@tidemark/transport-conformance";
import { afterAll, describe } from "vitest";
import { hasServer, openMesh } from "./broker.ts";

const claims = { frameBytesMax: 2 ** 20, ordered: true, replay: true, persistent: true };

const RELEASES: readonly ServerRelease[] =
  process.env["TIDEMARK_SERVERS"] === "all" ? ["installed", "nats-2.10", "nats-newest"] : ["installed"];

for (const release of RELEASES) {
  let starting: Promise<NatsServer> | undefined;
  const server = (): Promise<NatsServer> => (starting ??= startNats({ release }));

  describe.skipIf(!(await hasServer(release)))(`TRN-6 over ${release}`, () => {
    afterAll(async () => {
      await (await starting)?.remove();
    });

    // The broker's max_payload is 1 MiB with the headers: the longest frames travel in parts.
    describeTransport("TRN-6 NATS", {
      claims,
      hooks: ["cut", "restartBroker"],
      openMesh: async (peerCount) => openMesh(await server(), peerCount),
    });
  });
}
