import { expect, test } from "vitest";
import { CHANGES_WAITING_MAX } from "../src/index.ts";
import type { Session } from "../src/index.ts";
import { SeenNumbers } from "../src/seen-numbers.ts";
import { Cluster } from "./cluster.ts";

type Stream = AsyncIterator<{
  readonly kind: string;
  readonly position: { readonly lane: string; readonly seqno: number };
}>;

function streamOf(session: Session, options: Parameters<Session["changes"]>[0] = {}): Stream {
  return session.changes(options)[Symbol.asyncIterator]();
}

async function take(stream: Stream, count: number): Promise<string[]> {
  const kinds: string[] = [];
  while (kinds.length < count) {
    const { value, done } = await stream.next();
    if (done === true) break;
    kinds.push(value.kind);
  }
  return kinds;
}

test("SES-7a changes() tells what is written from the call on, also before the reading begins, in any region", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const other = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await session.annotate("before");
  await cluster.converged();
  const here = streamOf(session);
  const there = streamOf(cluster.region("eu-west").sessions.get(session.id)!);
  await session.prefer("mood", "calm");
  await other.prefer("mood", "wild");
  await session.hide("book");
  expect(await take(here, 2)).toEqual(["prefer", "hide"]);
  expect(await take(there, 2)).toEqual(["prefer", "hide"]);
  const next = here.next();
  await cluster.region("eu-west").sessions.get(session.id)!.search("essays");
  expect((await next).value).toMatchObject({ kind: "search", session: session.id });
  await here.return?.();
  await there.return?.();
});

test("SES-7a changes({ after }) begins behind a cursor, with what is past and what is to come", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  cluster.network.cut("us-east", "eu-west");
  await session.annotate("seen");
  const cursor = session.cursor();
  await session.annotate("one");
  await session.hide("book");
  for (const after of [cursor, cursor.toString()]) {
    const stream = streamOf(session, { after });
    expect(await take(stream, 2)).toEqual(["annotate", "hide"]);
    const next = take(stream, 1);
    await session.search("essays");
    expect(await next).toEqual(["search"]);
    await stream.return?.();
  }
  expect(() => session.changes({ after: "tmc1." })).toThrow(
    expect.objectContaining({ code: "CURSOR_MALFORMED" }),
  );
});

test("SES-7a changes({ follow: false }) ends with what is applied, and lanes() counts it", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const cursor = session.cursor();
  await session.annotate("one");
  await session.hide("book");
  await cluster.converged();
  const there = cluster.region("eu-west").sessions.get(session.id)!;
  await there.search("essays");
  await cluster.converged();
  for (const { changes, lanes } of [session, there].map((one) => ({
    changes: one.changes({ after: cursor, follow: false }),
    lanes: one.lanes(),
  }))) {
    const kinds = [];
    for await (const { kind } of changes) kinds.push(kind);
    expect(kinds.sort()).toEqual(["annotate", "hide", "search"]);
    expect([...lanes.values()].map(({ upTo, count }) => [upTo, count]).sort()).toEqual([
      [1, 1],
      [3, 3],
    ]);
  }
  const aborted = AbortSignal.abort(new Error("enough"));
  await expect(streamOf(session, { after: cursor, follow: false, signal: aborted }).next()).rejects.toThrow(
    "enough",
  );
});

test("SES-7a BRG-2 an operation that came by ticket and again by its own log is one change", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  const cursor = west.sessions.get(session.id)!.cursor();
  cluster.network.cut("us-east", "eu-west");
  const live = streamOf(west.sessions.get(session.id)!);
  for (const text of ["one", "two"]) await session.annotate(text);
  await west.users.resume("ada", { ticket: session.ticket() });
  cluster.network.heal();
  await cluster.converged();
  expect(await take(live, 2)).toEqual(["annotate", "annotate"]);
  // Read from the stored logs, in which both copies stand; the cursor covers the start.
  const stored = streamOf(west.sessions.get(session.id)!, { after: cursor });
  expect(await take(stored, 2)).toEqual(["annotate", "annotate"]);
  await session.close();
  await cluster.converged();
  for (const stream of [live, stored]) expect(await take(stream, 1)).toEqual(["close"]);
});

test("SES-7a a reader that is slower than the writes misses none and gets none twice", async () => {
  await using cluster = await Cluster.of("us-east");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const stream = streamOf(session);
  const first = stream.next();
  const count = CHANGES_WAITING_MAX * 2 + 10;
  await Promise.all(Array.from({ length: count }, () => session.signal("book", "save", 1)));
  const seqnos = [(await first).value.position.seqno as number];
  while (seqnos.length < count) seqnos.push((await stream.next()).value.position.seqno as number);
  expect(seqnos).toEqual(Array.from({ length: count }, (_, at) => at + 2));
  const next = take(stream, 1);
  await session.close();
  expect(await next).toEqual(["close"]);
});

test("SES-7a abort ends a stream with its reason, closing the region ends it, leaving the loop stops it", async () => {
  await using cluster = await Cluster.of("us-east");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const aborted = new AbortController();
  const waiting = streamOf(session, { signal: aborted.signal }).next();
  aborted.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(streamOf(session, { signal: aborted.signal }).next()).rejects.toThrow("enough");
  const cursor = session.cursor();
  await session.annotate("behind it");
  for await (const change of session.changes({ after: cursor })) {
    expect(change.kind).toBe("annotate");
    break;
  }
  const ended = take(streamOf(session), 1);
  await cluster.close("us-east");
  expect(await ended).toEqual([]);
});

test("SES-7a many readers are ended with the region, and nobody is warned of them", async () => {
  await using cluster = await Cluster.of("us-east");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const warnings: Error[] = [];
  const warned = (warning: Error): number => warnings.push(warning);
  process.on("warning", warned);
  const ended = Array.from({ length: 30 }, () => streamOf(session).next());
  await session.annotate("one");
  expect(await Promise.all(ended)).toHaveLength(30);
  const waiting = Array.from({ length: 30 }, () => streamOf(session).next());
  // Warnings come in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve));
  await cluster.close("us-east");
  for (const { done } of await Promise.all(waiting)) expect(done).toBe(true);
  process.off("warning", warned);
  expect(warnings).toEqual([]);
});

test("SES-7a SeenNumbers notes each number once, in any order, in ranges", () => {
  const seen = new SeenNumbers();
  const order = [5, 1, 2, 4, 3, 9, 7, 8, 6, 1, 5, 9, 3, 10];
  const known = new Set<number>();
  for (const seqno of order) {
    expect([seqno, seen.add("a", seqno)]).toEqual([seqno, !known.has(seqno)]);
    known.add(seqno);
  }
  expect(seen.add("b", 5)).toBe(true);
});

test("SES-7a reading is plain data: users, their sessions and filtered pages, page by page", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const region = cluster.region("us-east");
  for (const id of ["c", "a", "b"]) await region.sessions.start({ id, user: "ada", agent: "scout" });
  await region.sessions.start({ id: "d", user: "bob", agent: "scout" });
  await region.sessions.get("b")!.close();
  await region.sessions.get("a")!.hide("book");
  await region.sessions.get("c")!.mute("film");
  await cluster.converged();
  for (const name of ["us-east", "eu-west"]) {
    const ada = cluster.region(name).users.get("ada");
    expect(ada.sessions()).toEqual(["a", "b", "c"]);
    expect(ada.sessions({ open: true })).toEqual(["a", "c"]);
    expect(ada.sessions({ open: false })).toEqual(["b"]);
    expect(ada.sessions({ limit: 1, after: "a" })).toEqual(["b"]);
    expect(ada.hidden()).toEqual(["book", "film"]);
    expect(ada.filterVisible([{ id: "film" }, { id: "song" }], ({ id }) => id)).toEqual([{ id: "song" }]);
    expect(cluster.region(name).users.get("nobody").filterVisible(["book"])).toEqual(["book"]);
    expect((await ada.session("a")).state().user).toBe("ada");
    await expect(ada.session("d")).rejects.toMatchObject({ code: "SESSION_EXISTS" });
    await expect(ada.session("d", { agent: "scout" })).rejects.toMatchObject({ code: "SESSION_EXISTS" });
    await expect(ada.session("e")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
  }
  const state = region.sessions.get("a")!.state();
  (state.metadata as Record<string, string>)["planted"] = "x";
  expect(region.sessions.get("a")!.state().metadata).toEqual({});
});
