import type { Session } from "@tidemark/region";
import type { AppReducer } from "@tidemark/session";
import { expect, test } from "vitest";
import { findFailingSeed, simulateApp } from "../src/index.ts";
import type { AppOptions } from "../src/index.ts";

/** What the example application writes: a hide with a name of its own, or a removal that names the hides it saw. */
interface Written {
  readonly hide?: string;
  readonly lifts?: readonly string[];
}

const encode = (value: Written): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes: Uint8Array): Written => JSON.parse(new TextDecoder().decode(bytes)) as Written;
const writtenIn = (session: Pick<Session, "state">): Written[] =>
  (session.state().apps.get("lamp") ?? []).map(decode);
const inForce = (written: readonly Written[]): string[] => {
  const lifted = written.flatMap(({ lifts = [] }) => lifts);
  return written.flatMap(({ hide }) => hide ?? []).filter((hide) => !lifted.includes(hide));
};

/** Whether the lamp is hidden: the last one says it. Wrong: it may not have heard of the one before it. */
const last: AppReducer<boolean> = {
  version: 1,
  empty: () => false,
  reduce: (_, { bytes }) => decode(bytes).hide !== undefined,
};
/** The hides that nobody who saw them has lifted. */
const observed: AppReducer<readonly string[]> = {
  version: 1,
  empty: () => [],
  reduce: (hides, { bytes }) => {
    const { hide, lifts = [] } = decode(bytes);
    return hide === undefined ? hides.filter((name) => !lifts.includes(name)) : [...hides, hide];
  },
};

function lamp<State>(
  reducer: AppReducer<State>,
  isHidden: (state: State) => boolean,
): AppOptions<string, { lamp: State }> {
  return {
    reducers: { lamp: reducer },
    async step({ session, random, name }) {
      const seen = writtenIn(session).flatMap(({ hide }) => hide ?? []);
      await session.app("lamp", encode(random.chance(0.5) ? { hide: name } : { lifts: seen }));
    },
    check({ region, session }) {
      const state = session.appState("lamp");
      if (isHidden(state) !== inForce(writtenIn(session)).length > 0)
        throw new Error(`${region.name} is wrong about the lamp`);
    },
  };
}

test("SIM-3 a reducer that lets the last clock win is broken by a seed, which breaks it again in the same way", async () => {
  const app = lamp(last, (state) => state);
  const { failure, seeds } = await findFailingSeed({ ...app, seeds: 20 });
  const { violation, seed, hash } = failure!;
  expect(seed).toBe(seeds);
  expect(violation.message).toMatch(/^\S+ is wrong about the lamp$/);
  expect(violation.report).toContain(`Run it again: simulateApp({ ...options, seed: ${seed} })`);
  expect(violation.story.at(-1)).toMatch(/ms {2}\S+ +applied app r0000\d-e\d+ \d+ of session shared$/);
  const again = await simulateApp({ ...app, seed });
  expect(again.hash).toBe(hash);
  expect(again.violation).toMatchObject({ report: violation.report, trace: violation.trace });
});

test("SIM-3 the reducer that takes away what was seen, and nothing else, holds under every fault", async () => {
  const faults: Record<string, number> = {};
  const { failure, seeds } = await findFailingSeed({
    ...lamp(observed, (hides) => hides.length > 0),
    from: 1,
    seeds: 8,
    onResult: (result) => {
      for (const [name, count] of Object.entries(result.faults)) faults[name] = (faults[name] ?? 0) + count;
      expect(result.taken + result.cutOff).toBeGreaterThan(0);
    },
  });
  expect(failure?.violation.report).toBeUndefined();
  expect(seeds).toBe(8);
  expect(Object.keys(faults).length).toBeGreaterThan(5);
});

test("SIM-3 a reducer that is not pure, that throws, or gives a promise is a violation", async () => {
  let calls = 0;
  const counting: AppReducer<number> = { version: 1, empty: () => 0, reduce: () => ++calls };
  const calm = { faults: [], clients: 1, steps: 3, seed: 1 } as const;
  const write = lamp(last, (state) => state).step as AppOptions["step"];
  const impure = await simulateApp({ ...calm, step: write, reducers: { lamp: counting } });
  expect(impure.violation?.message).toContain("The reducer of lamp is not pure");
  const promising: AppReducer<unknown> = { version: 1, empty: () => 0, reduce: async () => 0 };
  const failed = await simulateApp({ ...calm, step: write, reducers: { lamp: promising } });
  expect(failed.violation?.cause).toMatchObject({ code: "REDUCER_FAILED" });
});

test("SIM-3 SES-16 a policy is enforced in every region, whatever fails, and a session that was left alone is closed", async () => {
  const policies = [{ name: "brief", version: 1, kinds: ["prefer" as const], idleMs: 3_000 }];
  let closed = 0;
  for (const seed of [1, 2]) {
    const result = await simulateApp({
      seed,
      policies,
      start: { user: "ada", agent: "guide", policy: "brief" },
      clients: 2,
      steps: 6,
      pauseMs: { min: 0, max: 4_000 },
      async step({ session, name }) {
        const { outcome, reason = "" } = await session.annotate("not allowed");
        if (outcome !== "refused" || !["POLICY_KIND", "SESSION_CLOSED"].includes(reason))
          throw new Error(`${outcome} ${reason}`);
        await session.prefer("name", name);
      },
      check({ session, settled }) {
        expect(session.state().annotations).toEqual([]);
        if (settled && !session.state().open) closed += 1;
      },
    });
    expect(result.violation?.report).toBeUndefined();
  }
  expect(closed).toBeGreaterThan(0);
});

test("simulateApp() takes what a step throws for a violation, and counts what a region refuses", async () => {
  const calm = { faults: [], clients: 1, steps: 2, seed: 1 } as const;
  const thrown = new Error("never twice");
  const broken = await simulateApp({
    ...calm,
    step: ({ step }) => {
      if (step === 1) throw thrown;
    },
  });
  expect(broken).toMatchObject({ taken: 1, violation: { cause: thrown, message: "never twice" } });
  const refused = await simulateApp({
    ...calm,
    step: async ({ region }) => void (await region.users.erase("ada")),
  });
  expect(refused).toMatchObject({ taken: 0, refused: { ENCRYPTION_OFF: 2 } });
  expect(refused.violation).toBeUndefined();
  await expect(simulateApp({ ...calm, steps: -1, step: () => undefined })).rejects.toThrow(RangeError);
});
