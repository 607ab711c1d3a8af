import { readFileSync } from "node:fs";
import { haveRedis } from "@tidemark/servers";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { openRedisReplayStore } from "../src/index.ts";
import { appendTexts, eventsBehind, textsOf } from "@tidemark/live-conformance";
import { serverFor } from "./helpers.ts";

const NOBODY = "redis://127.0.0.1:1";

test.each(["", "a{b", "a}b", "a b", "a\n", "x".repeat(101)])("the prefix %j is refused", async (prefix) => {
  const opening = openRedisReplayStore({ connection: NOBODY, prefix });
  await expect(opening).rejects.toMatchObject({ code: "PREFIX_INVALID" });
});

test.each([{ timeoutMs: 0 }, { eventsMax: -1 }, { bufferedMax: 0 }, { blockMs: 0 }, { ageMsMax: 1.5 }])(
  "a limit that is none is a RangeError: %j",
  async (limits) => {
    await expect(openRedisReplayStore({ connection: NOBODY, ...limits })).rejects.toThrow(RangeError);
  },
);

test("what cannot be connected is refused with its code", async () => {
  const nobody = openRedisReplayStore({ connection: NOBODY, timeoutMs: 100 });
  await expect(nobody).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
  const prefixed = openRedisReplayStore({ connection: { keyPrefix: "app:" } });
  await expect(prefixed).rejects.toMatchObject({ code: "KEY_PREFIX_SET" });
});

describe.skipIf(!(await haveRedis()))("rights", () => {
  test("a user with the rights of the README, and no more, does everything; without one it says so", async () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const rights = /ACL SETUSER tidemark on >secret (.*)/.exec(readme)![1]!.split(" ");
    const server = await serverFor();
    const admin = new Redis(server.port, "127.0.0.1");
    onTestFinished(() => admin.disconnect());
    await admin.call("ACL", "SETUSER", "tidemark", "on", ">secret", ...rights);
    const connection = { port: server.port, username: "tidemark", password: "secret" };
    await using store = await openRedisReplayStore({ connection, bufferedMax: 1, eventsMax: 1 });
    const subscriber = await eventsBehind(store, await store.currentCursor("s", 0));
    await appendTexts(store, "s", 1);
    expect(textsOf([await subscriber.next()])).toEqual(["1"]);
    await appendTexts(store, "s", 3);
    await store.trim("s");
    expect(await admin.keys("*rehearsal*")).toEqual([]);
    for (const right of rights.filter((each) => each.startsWith("+"))) {
      await admin.call("ACL", "SETUSER", "tidemark", `-${right.slice(1)}`);
      // Without EVALSHA nothing is run, so that EVAL is not missed; HELLO is the client's.
      const opening = openRedisReplayStore({ connection, bufferedMax: 1, eventsMax: 1 }).then((each) =>
        each.close(),
      );
      if (right !== "+eval") await expect(opening, right).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      else await opening;
      await admin.call("ACL", "SETUSER", "tidemark", right);
    }
  });

  test("a wrong password is UNAUTHORIZED", async () => {
    const server = await serverFor(["--requirepass", "right"]);
    const opening = openRedisReplayStore({ connection: { port: server.port, password: "wrong" } });
    await expect(opening).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});
