import { expect, test } from "vitest";
import { Cluster } from "./cluster.ts";

test("SES-15 an item hidden in one region is not shown in another from the moment it was handed a ticket", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  await session.hide("book-1");
  const user = await west.users.resume("ada", { ticket: session.ticket() });
  expect(user.filterVisible(["book-1", "book-2"])).toEqual(["book-2"]);
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) expect(region.users.get("ada").hidden()).toEqual(["book-1"]);
});

test("scenario 23: hide in A, like in B, unhide in C that has not seen the hide: hidden wherever it is known", async () => {
  await using cluster = await Cluster.of("a", "b", "c");
  const [a, b, c] = [cluster.region("a"), cluster.region("b"), cluster.region("c")];
  const session = await a.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  for (const [left, right] of [
    ["a", "b"],
    ["b", "c"],
    ["a", "c"],
  ] as const)
    cluster.network.cut(left, right);
  await session.hide("book");
  await b.sessions.get(session.id)!.signal("book", "like", 1);
  await c.sessions.get(session.id)!.unhide("book");
  expect(a.users.get("ada").hidden()).toEqual(["book"]);
  let shown = 0;
  const watch = [b, c].map((region) => {
    let known = false;
    return region.onChange((change) => {
      if (change.kind === "hide") known = true;
      if (known && region.users.get("ada").filterVisible(["book"]).length > 0) shown += 1;
    });
  });
  cluster.network.heal();
  await cluster.converged();
  for (const stop of watch) stop();
  expect(shown).toBe(0);
  for (const region of [a, b, c]) {
    expect(region.users.get("ada").hidden()).toEqual(["book"]);
    expect(region.sessions.get(session.id)!.state().signals.get("book")?.get("like")?.count).toBe(1);
  }
  expect(b.certificate()).toEqual(a.certificate());
  expect(c.certificate()).toEqual(a.certificate());
});

test("SES-9 an unhide is pending until it is known everywhere, then the item returns in every region", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  await session.unhide("book");
  expect(east.users.get("ada").hidden()).toEqual(["book"]);
  expect(east.users.get("ada").withheld()).toBe(1);
  expect(west.users.get("ada").hidden()).toEqual(["book"]);
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) {
    expect(region.users.get("ada").hidden()).toEqual([]);
    expect(region.users.get("ada").withheld()).toBe(0);
  }
});

test("scenario 24: a signal stamped ten years ahead is refused at ingest; a later unhide still works", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  const tenYears = 10 * 365 * 24 * 3_600_000;
  await expect(session.signal("book", "save", 1, { eventTimeMs: Date.now() + tenYears })).rejects.toThrow(
    expect.objectContaining({ code: "HLC_DRIFT_EXCEEDED", driftMsMax: 500 }),
  );
  // A region whose clock is ten years ahead hides: another region, whose clock is right, may still unhide.
  cluster.skewMs.set("us-east", tenYears);
  await session.hide("book");
  await cluster.converged();
  await west.sessions.get(session.id)!.unhide("book");
  await cluster.converged();
  for (const region of [east, west]) expect(region.users.get("ada").hidden()).toEqual([]);
});
