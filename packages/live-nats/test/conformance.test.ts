import { describeLiveStore, type LiveStoreHook } from "@tidemark/live-conformance";
import { startNats, type NatsServer, type ServerRelease } from "@tidemark/servers";
import { afterAll, beforeAll, describe } from "vitest";
import { openFixture } from "./fixture.ts";
import { haveNats } from "./helpers.ts";

const HOOKS: readonly LiveStoreHook[] = ["second", "clock", "wallClock", "forget", "evict", "cut"];

describe.skipIf(!(await haveNats())).each<ServerRelease>(["installed", "nats-newest"])(
  "nats-server: %s",
  (release) => {
    let server: NatsServer;
    beforeAll(async () => {
      server = await startNats({ release });
    });
    afterAll(() => server.remove());

    describeLiveStore("a stream of JetStream", {
      claims: { name: "nats", sharedBy: "network" },
      hooks: HOOKS,
      open: (bounds) => openFixture(server, bounds),
    });
  },
);
