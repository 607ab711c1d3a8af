import { type InterruptingKv, interruptingKv } from "@tidemark/kv-conformance";
import { decodeKey, type Kv, openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { durableStreams } from "../../src/durable-streams/index.ts";
import { type Given, NO_HASHER, producer, readAll, send, TEXT } from "./support.ts";

const SCENARIOS: Readonly<Record<string, (ask: Ask, kv: Kv) => Promise<void>>> = {
  "appends of a producer": async (ask, kv) => {
    await ask("PUT", "/a", { headers: TEXT, body: "0" });
    for (const [sequence, body] of ["1", "2", "3"].entries()) {
      await ask("POST", "/a", { headers: { ...TEXT, ...producer("p", 0, sequence) }, body });
    }
    const closing = { ...TEXT, ...producer("p", 1, 0), "stream-closed": "true" };
    await ask("POST", "/a", { headers: closing, body: "4" });
    expect(await readAll(handlerOver(kv), "/a")).toBe("01234");
    expect(await rowsOf(kv, "/a")).toEqual([
      "chunk",
      "chunk",
      "chunk",
      "chunk",
      "chunk",
      "producer",
      "stream",
    ]);
  },
  "a fork, whose source is deleted first": async (ask, kv) => {
    await ask("PUT", "/source", { headers: TEXT, body: "source" });
    const zero = "0000000000000000_0000000000000000";
    const fork = {
      "stream-forked-from": "/source",
      "stream-fork-offset": zero,
      "stream-fork-sub-offset": "4",
    };
    await ask("PUT", "/fork", { headers: { ...TEXT, ...fork }, body: " cream" });
    await ask("DELETE", "/source", {}, [404, 410]);
    expect(await readAll(handlerOver(kv), "/fork")).toBe("sour cream");
    await ask("DELETE", "/fork", {}, [404]);
    // Whatever was left half done is done by those who come to lie there.
    await ask("PUT", "/source", { headers: TEXT, body: "new" });
    await ask("PUT", "/fork", { headers: TEXT });
    expect(await readAll(handlerOver(kv), "/source")).toBe("new");
    expect(await rowsOf(kv, "/source")).toEqual(["chunk", "stream"]);
    expect(await rowsOf(kv, "/fork")).toEqual(["stream"]);
  },
};

test("durableStreams() LIV-10 a fork that was left half made keeps its source only until the path is wanted", async () => {
  for (let at = 1; ; at++) {
    const kv = openMemoryKv();
    const handle = handlerOver(kv);
    await send(handle, "PUT", "/source", { headers: TEXT, body: "source" });
    const failing = interruptingKv(kv.handle(), { at, when: "after" });
    // Whoever made it does not come back.
    await send(handlerOver(failing), "PUT", "/fork", { headers: { "stream-forked-from": "/source" } });
    const whole = (await send(handle, "HEAD", "/fork")).status === 200;
    await send(handle, "DELETE", "/source");
    expect((await send(handle, "PUT", "/source", { headers: TEXT })).status).toBe(whole ? 409 : 201);
    if (!whole) expect(await rowsOf(kv, "/source")).toEqual(["stream"]);
    if (!failing.interrupted) break;
  }
});

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  for (const when of ["before", "after"] as const) {
    test(`durableStreams() LIV-10 ${name}: whichever call fails ${when} it took effect, the request that is sent again ends right`, async () => {
      let calls = 0;
      for (let at = 1; ; at++) {
        const kv = openMemoryKv();
        const failing = interruptingKv(kv.handle(), { at, when });
        await scenario(askOver(failing, kv), kv);
        if (!failing.interrupted) break;
        calls += 1;
      }
      expect(calls).toBeGreaterThan(10);
    });
  }
}

/** Sends a request, and what is not answered for the store's sake again, to another process. */
type Ask = (method: string, path: string, given: Given, otherwise?: readonly number[]) => Promise<void>;

function askOver(failing: InterruptingKv, kv: Kv): Ask {
  const [first, second] = [handlerOver(failing), handlerOver(kv)];
  return async (method, path, given, otherwise = []) => {
    const sent = await send(first, method, path, given);
    const response = sent.status === 503 ? await send(second, method, path, given) : sent;
    expect([200, 201, 204, ...(sent === response ? [] : otherwise)], `${method} ${path}`).toContain(
      response.status,
    );
  };
}

function handlerOver(kv: Kv) {
  return durableStreams({ kv, authorize: () => true, hasher: NO_HASHER });
}

/** The kinds of the rows of a stream, in order. */
async function rowsOf(kv: Kv, path: string): Promise<unknown[]> {
  const { items } = await kv.scan(`durable-streams/${path}`, {});
  return items.map(({ key }) => decodeKey(key)[0]);
}
