import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { openMemoryKv } from "@tidemark/kv";
import express, { type Request } from "express";
import expressSession, { type Store } from "express-session";
import { afterEach, expect, test } from "vitest";
import { TidemarkStore } from "../src/index.ts";
import { meeting, type Meeting } from "./meeting.ts";
import { UserAgent } from "./user-agent.ts";

/** What a session holds, by name. */
const fieldsOf = (request: Request): Record<string, unknown> =>
  request.session as unknown as Record<string, unknown>;

let server: Server | undefined;
afterEach(async () => {
  await new Promise<unknown>((resolve) =>
    server === undefined ? resolve(undefined) : server.close(resolve),
  );
  server = undefined;
});

/** An application of some pages, two of which wait for one another with their session loaded. */
async function listen(store: Store, met: Meeting, options: { resave?: boolean } = {}): Promise<UserAgent> {
  const app = express();
  app.use(
    expressSession({
      store,
      secret: "not a secret",
      resave: options.resave ?? false,
      saveUninitialized: false,
      cookie: { maxAge: 60_000 },
    }),
  );
  app.get("/login", (request, response) => {
    request.session.regenerate(() => {
      fieldsOf(request)["user"] = "ada";
      response.redirect("/me");
    });
  });
  app.get("/me", (request, response) => {
    const { cookie: _cookie, ...fields } = fieldsOf(request);
    response.json(fields);
  });
  app.get("/cart", async (request, response) => {
    await met.arrive();
    fieldsOf(request)["cart"] = "tea";
    response.end();
  });
  app.get("/theme", async (request, response) => {
    await met.arrive();
    fieldsOf(request)["theme"] = "dark";
    response.end();
  });
  app.get("/slow", async (request, response) => {
    await met.arrive();
    response.json(fieldsOf(request)["user"]);
  });
  app.get("/logout", (request, response) => {
    request.session.destroy(() => {
      void met.arrive();
      response.end();
    });
  });
  server = createServer(app);
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return new UserAgent(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

test("RUN-13 two requests of one user at once keep both changes, where MemoryStore keeps one", async () => {
  const stores = {
    ours: new TidemarkStore({ kv: openMemoryKv() }),
    theirs: new expressSession.MemoryStore(),
  };
  const found: Record<string, unknown> = {};
  for (const [name, store] of Object.entries(stores)) {
    const agent = await listen(store, meeting(2));
    await agent.get("/login");
    await Promise.all([agent.get("/cart"), agent.get("/theme")]);
    found[name] = await agent.json("/me");
    await new Promise((resolve) => server!.close(resolve));
  }
  expect(found["ours"]).toEqual({ user: "ada", cart: "tea", theme: "dark" });
  expect(Object.keys(found["theirs"] as object), "the race is real").toHaveLength(2);
});

test.each([{ resave: false }, { resave: true }])(
  "RUN-13 who logs out stays logged out, whatever ends later with the session loaded: %j",
  async (options) => {
    const store = new TidemarkStore({ kv: openMemoryKv() });
    const agent = await listen(store, meeting(2), options);
    await agent.get("/login");
    // The slow one has its session, and ends after the other has destroyed it: by a touch, or a save.
    const slow = agent.json("/slow");
    await agent.get("/logout");
    expect(await slow).toBe("ada");
    expect(await agent.json("/me")).toEqual({});
    expect(await store.length()).toBe(0);
  },
);

test("RUN-13 who is redirected at once finds what was saved", async () => {
  const agent = await listen(new TidemarkStore({ kv: openMemoryKv() }), meeting(1));
  expect(await agent.json("/login")).toEqual({ user: "ada" });
});

test("while the store is away requests pass without a session, as the middleware has it", async () => {
  const store = new TidemarkStore({ kv: openMemoryKv() });
  const agent = await listen(store, meeting(1));
  await agent.get("/login");
  store.emit("disconnect");
  expect(await agent.status("/me")).toBe(500);
  store.emit("connect");
  expect(await agent.json("/me")).toEqual({ user: "ada" });
});
