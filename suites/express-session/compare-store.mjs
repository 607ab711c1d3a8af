import { RedisStore } from "connect-redis";
import expressSession from "express-session";
import { createClient } from "redis";
import { TidemarkStore } from "../../packages/express-session/src/index.ts";
import { STORE_CHECKS } from "../../packages/express-session/test/store-contract.ts";
import { startRedis } from "../../tools/servers/src/index.ts";

/** Every check gives what the stores that people have give. */
export function compareStore(backend) {
  let kv;
  let server;
  let client;
  let count = 0;
  describe("", () => {
    beforeAll(async () => {
      kv = await backend.start();
      server = await startRedis();
      client = await createClient({ url: server.url }).connect();
    });
    afterAll(async () => {
      await client?.close();
      await server?.remove();
      await backend.stop();
    });
    const openStore = () => new TidemarkStore({ kv, prefix: `check-${count++}` });
    for (const { name, run } of STORE_CHECKS) {
      it(`express-session's MemoryStore: ${name}`, async () => {
        expect(await run(openStore())).toEqual(await run(new expressSession.MemoryStore()));
      });
      it(`connect-redis: ${name}`, async () => {
        const theirs = new RedisStore({ client, prefix: `check-${count++}:` });
        expect(await run(openStore())).toEqual(await run(theirs));
      });
    }
  });
}
