import { fastifyCookie } from "@fastify/cookie";
import { fastifySession } from "@fastify/session";
import { decodeKey, openMemoryKv } from "@tidemark/kv";
import { fastify, type FastifyInstance } from "fastify";
import { afterEach, expect, test } from "vitest";
import { TidemarkFastifyStore } from "../src/fastify.ts";
import { meeting, type Meeting } from "./meeting.ts";
import { UserAgent } from "./user-agent.ts";

declare module "fastify" {
  interface Session {
    user?: string;
    cart?: string;
    theme?: string;
  }
}

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function listen(store: TidemarkFastifyStore | undefined, met: Meeting): Promise<UserAgent> {
  app = fastify();
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    secret: "not a secret, and at least 32 long",
    cookie: { secure: false, maxAge: 60_000 },
    saveUninitialized: false,
    ...(store === undefined ? {} : { store }),
  });
  app.get("/login", async (request, reply) => {
    await request.session.regenerate();
    request.session.user = "ada";
    return reply.redirect("/me");
  });
  app.get("/me", ({ session }) => ({ user: session.user, cart: session.cart, theme: session.theme }));
  app.get("/cart", async ({ session }) => {
    await met.arrive();
    session.cart = "tea";
    return "";
  });
  app.get("/theme", async ({ session }) => {
    await met.arrive();
    session.theme = "dark";
    return "";
  });
  app.get("/slow", async ({ session }) => {
    await met.arrive();
    session.cart = "late";
    return { user: session.user };
  });
  app.get("/logout", async ({ session }) => {
    await session.destroy();
    void met.arrive();
    return "";
  });
  return new UserAgent(await app.listen({ host: "127.0.0.1", port: 0 }));
}

test("RUN-13 fastify: two requests of one user at once keep both changes", async () => {
  const kv = openMemoryKv();
  const agent = await listen(new TidemarkFastifyStore({ kv }), meeting(2));
  expect(await agent.json("/login")).toEqual({ user: "ada" });
  await Promise.all([agent.get("/cart"), agent.get("/theme")]);
  expect(await agent.json("/me")).toEqual({ user: "ada", cart: "tea", theme: "dark" });
  const { items } = await kv.scan((await partitionsOf(kv))[0]!, {});
  expect(items.some(({ key }) => new TextDecoder().decode(key).includes("~loaded"))).toBe(false);
});

test("RUN-13 fastify: who logs out stays logged out, though a request that had the session ends later", async () => {
  const agent = await listen(new TidemarkFastifyStore({ kv: openMemoryKv() }), meeting(2));
  await agent.get("/login");
  const slow = agent.json("/slow");
  await agent.get("/logout");
  expect(await slow).toEqual({ user: "ada" });
  expect(await agent.json("/me")).toEqual({});
});

/** Where sessions are, as the index of expiry has it. */
async function partitionsOf(kv: ReturnType<typeof openMemoryKv>): Promise<string[]> {
  const found: string[] = [];
  for (const shard of "0123456789abcdef") {
    const { items } = await kv.scan(`sess.expiry/${shard}`, {});
    for (const { key } of items) found.push(`sess/${String(decodeKey(key)[2])}`);
  }
  return found;
}
