import fc from "fast-check";

/** One call on the store: data, so that a history can be kept in a file. Sessions, workers and so on are small numbers. */
export type Operation =
  | { readonly do: "claim"; readonly worker: number; readonly session: number; readonly ttlMs: number }
  | { readonly do: "renew"; readonly worker: number; readonly session: number; readonly ttlMs: number }
  | { readonly do: "release"; readonly worker: number; readonly session: number }
  | { readonly do: "crash"; readonly worker: number }
  | {
      readonly do: "enqueue";
      readonly worker: number;
      readonly session: number;
      readonly source: number | undefined;
      readonly payload: number;
    }
  | { readonly do: "claimWork"; readonly worker: number; readonly session: number }
  | { readonly do: "abandon"; readonly worker: number; readonly session: number }
  | { readonly do: "cancel"; readonly worker: number; readonly session: number; readonly batch: number }
  | {
      readonly do: "commit";
      readonly worker: number;
      readonly session: number;
      readonly turn: number;
      readonly expected: "right" | "stale" | "any";
      readonly parent: number;
      readonly settle: boolean;
      readonly attachment: number | undefined;
      readonly release: boolean;
    }
  | {
      readonly do: "replay";
      readonly worker: number;
      readonly session: number;
      readonly turn: number;
      readonly same: boolean;
    }
  | { readonly do: "fork"; readonly worker: number; readonly session: number }
  | { readonly do: "archive"; readonly worker: number; readonly session: number; readonly archived: boolean }
  | { readonly do: "delete"; readonly worker: number; readonly session: number }
  | { readonly do: "attach"; readonly worker: number; readonly session: number; readonly attachment: number }
  | { readonly do: "forget"; readonly worker: number; readonly session: number; readonly attachment: number }
  | { readonly do: "collect"; readonly worker: number }
  | {
      readonly do: "anchor";
      readonly worker: number;
      readonly session: number;
      readonly node: number;
      readonly retain: boolean;
    }
  | { readonly do: "tombstone"; readonly worker: number; readonly session: number; readonly node: number }
  | { readonly do: "vacuum"; readonly worker: number; readonly session: number }
  | { readonly do: "clock"; readonly ms: number };

/** How many workers there are; each has handles of its own. */
export const WORKERS = 3;

// The first worker and session are named most often, so that several calls meet.
const worker = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.nat(WORKERS - 1) },
);
const session = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) });
const ttlMs = fc.constantFrom(0, 100, 1_000);
const small = fc.nat(2);
const place = { worker, session };

/** Any operation. */
export const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("claim" as const), ...place, ttlMs }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("renew" as const), ...place, ttlMs }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), worker }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("enqueue" as const),
      ...place,
      source: fc.option(small, { nil: undefined }),
      payload: fc.nat(1),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("claimWork" as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abandon" as const), ...place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), ...place, batch: fc.nat(4) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      ...place,
      turn: fc.nat(5),
      expected: fc.constantFrom("right" as const, "right" as const, "stale" as const, "any" as const),
      parent: fc.nat(4),
      settle: fc.boolean(),
      attachment: fc.option(small, { nil: undefined }),
      release: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("replay" as const),
      ...place,
      turn: fc.nat(5),
      same: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fork" as const), ...place }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("archive" as const), ...place, archived: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("delete" as const),
      worker,
      session: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("attach" as const), ...place, attachment: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), ...place, attachment: small }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("collect" as const), worker }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("anchor" as const),
      ...place,
      node: fc.nat(4),
      retain: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tombstone" as const), ...place, node: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("vacuum" as const), ...place }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("clock" as const), ms: fc.constantFrom(1, 50, 200, 1_500, -100) }),
  },
);
