import { expect, test } from "vitest";
import { RegionError } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

test("SES-15 a session with metadata, hints and annotations is visible in the other region", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout", metadata: { goal: "essays" } });
  await session.prefer("language", "en");
  await session.annotate("likes long reads");
  await session.annotate("read twice", { entity: "book-1" });

  const there = await west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
  const state = there.state();
  expect(state.user).toBe("ada");
  expect(state.agent).toBe("scout");
  expect(state.metadata).toEqual({ goal: "essays" });
  expect([...state.hints]).toEqual([["language", "en"]]);
  expect(state.annotations.map(({ text }) => text)).toEqual(["likes long reads", "read twice"]);
});

test("SES-15 five preference signals written in one region are all five read in the other", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  for (let count = 0; count < 5; count++) await session.signal(`book-${count}`, "save", 1);
  const there = await cluster.region("eu-west").sessions.resume(session.id, { cursor: session.cursor() });
  const signals = there.state().signals;
  expect([...signals.keys()].sort()).toEqual(["book-0", "book-1", "book-2", "book-3", "book-4"]);
  for (const of of signals.values()) expect(of.get("save")?.count).toBe(1);
});

test("scenario 28: five writes, roam before they ship: a typed refusal by cursor, all five by ticket", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  for (let count = 0; count < 5; count++) await session.signal("book", "save", 1);

  const refused = await west.sessions
    .resume(session.id, { cursor: session.cursor(), timeoutMs: 20 })
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(RegionError);
  expect((refused as RegionError).code).toBe("NOT_YET_VISIBLE");
  expect((refused as RegionError).missing.length).toBeGreaterThan(0);

  const user = await west.users.resume("ada", { ticket: session.ticket() });
  const there = await user.session(session.id);
  expect(there.state().signals.get("book")?.get("save")?.count).toBe(5);

  cluster.network.heal();
  await cluster.converged();
  expect(session.state().signals.get("book")?.get("save")?.count).toBe(5);
  expect(east.certificate()).toEqual(west.certificate());
});

test("scenario 29: roaming there and back while cut reads what was written and forks nothing", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");

  await session.prefer("mood", "calm");
  await session.annotate("one");
  let user = await west.users.resume("ada", { ticket: session.ticket() });
  const away = await user.session(session.id);
  expect(away.state().hints.get("mood")).toBe("calm");
  await away.prefer("mood", "curious");
  await away.annotate("two");
  user = await east.users.resume("ada", { ticket: away.ticket() });
  const back = await user.session(session.id);
  expect(back.state().hints.get("mood")).toBe("curious");
  await back.annotate("three");

  const texts = (): string[][] =>
    [east, west].map((region) =>
      region.sessions
        .get(session.id)!
        .state()
        .annotations.map(({ text }) => text),
    );
  cluster.network.heal();
  await cluster.converged();
  expect(texts()).toEqual([
    ["one", "two", "three"],
    ["one", "two", "three"],
  ]);
  expect(back.state().conflicts).toEqual({ starts: 0, operations: [], forks: [] });
  expect(east.certificate()).toEqual(west.certificate());
});

test("scenario 30: forged, truncated and foreign cursors and tickets are refused without waiting", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  await using foreign = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.prefer("mood", "calm");
  const stranger = await foreign
    .region("us-east")
    .sessions.start({ user: "ada", agent: "scout", id: session.id });
  const cursor = session.cursor().toString();
  const ticket = session.ticket().toString();
  const flipped = (token: string): string =>
    `${token.slice(0, -2)}${token.at(-2) === "A" ? "B" : "A"}${token.at(-1)}`;
  for (const bad of [flipped(cursor), cursor.slice(0, -3), stranger.cursor().toString(), "tmc1.", ""]) {
    await expect(west.sessions.resume(session.id, { cursor: bad })).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^CURSOR_/) }),
    );
  }
  for (const bad of [flipped(ticket), ticket.slice(0, -3), stranger.ticket().toString(), "tmt1.", ""]) {
    await expect(west.users.resume("ada", { ticket: bad })).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^TICKET_/) }),
    );
  }
  await expect(west.users.resume("bob", { ticket })).rejects.toThrow(
    expect.objectContaining({ code: "TICKET_WRONG_USER" }),
  );
});

test("scenario 45: a ticket whose positions have other users' records in between resumes at once while cut", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  const other = await east.sessions.start({ user: "bob", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  for (let count = 0; count < 20; count++) {
    await other.signal("noise", "view", 1);
    await session.signal("book", "save", 1);
  }
  const user = await west.users.resume("ada", { ticket: session.ticket(), timeoutMs: 0 });
  expect((await user.session(session.id)).state().signals.get("book")?.get("save")?.count).toBe(20);
  expect(west.sessions.get(other.id)?.state().signals.size ?? 0).toBe(0);
});

test("scenario 46: written under a clock ten minutes ahead, roamed and overwritten: the later write wins", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.skewMs.set("us-east", 600_000);
  await session.prefer("mood", "from the future");
  const user = await west.users.resume("ada", { ticket: session.ticket() });
  await (await user.session(session.id)).prefer("mood", "later");
  await cluster.converged();
  for (const region of [east, west])
    expect(region.sessions.get(session.id)!.state().hints.get("mood")).toBe("later");
});
