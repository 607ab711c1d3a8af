import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStreamOffset, type StreamLogs, type StreamWriter } from "../src/index.ts";
import { openRegions, Reading, settled } from "./stream-log-bench.ts";

const REGIONS = ["us", "eu", "ap"] as const;
const region = fc.constantFrom(...REGIONS);
const STREAM = "s";
const CHAT = { session: "chat" };

type Step =
  | { readonly do: "start"; readonly at: (typeof REGIONS)[number] }
  | { readonly do: "write"; readonly writer: number; readonly text: string }
  | { readonly do: "end"; readonly writer: number; readonly failed: boolean }
  | {
      readonly do: "read";
      readonly at: (typeof REGIONS)[number];
      readonly from: number;
      readonly token: boolean;
    }
  | { readonly do: "cancel"; readonly at: (typeof REGIONS)[number] }
  | {
      readonly do: "deliver";
      readonly from: (typeof REGIONS)[number];
      readonly to: (typeof REGIONS)[number];
      readonly count: number;
    }
  | { readonly do: "wait"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("start" as const), at: region }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      writer: fc.nat(3),
      text: fc.string({ minLength: 1, maxLength: 12, unit: "binary" }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("end" as const), writer: fc.nat(3), failed: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      at: region,
      from: fc.nat(60),
      token: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), at: region }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      from: region,
      to: region,
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 60, 6_000) }),
  },
);

interface Written {
  readonly writer: StreamWriter;
  text: string;
}

interface Read {
  readonly reading: Reading;
  readonly from: number;
  readonly writer: string | undefined;
}

/** Plays the steps over regions whose every link is cut until a step or the end delivers. */
async function play(steps: readonly Step[]): Promise<void> {
  const regions = openRegions(REGIONS, { ttlMs: 9_000, pieceLengthMax: 5 });
  const { clock, journals } = regions;
  const links = REGIONS.flatMap((from) =>
    REGIONS.filter((to) => to !== from).map((to) => [from, to] as const),
  );
  for (const [from, to] of links) journals.cut(from, to);
  const written: Written[] = [];
  const reads: Read[] = [];
  let cancelled = false;
  const open = (logs: StreamLogs, from: number, token: string | undefined): void => {
    const { position, writer } = token === undefined ? { position: from } : parseStreamOffset(token);
    const reading = new Reading(logs.read(STREAM, { ...CHAT, after: token ?? from, missingMs: 1_000 }));
    reads.push({ reading, from: position, writer });
  };

  for (const action of steps) {
    switch (action.do) {
      case "start":
        await regions[action.at].start(STREAM, CHAT).then(
          (writer) => written.push({ writer, text: "" }),
          (error: unknown) =>
            expect(error).toMatchObject({ code: expect.stringMatching(/^STREAM_(EXISTS|CANCELLED)$/) }),
        );
        break;
      case "write": {
        const target = written[action.writer];
        if (target === undefined) break;
        await target.writer.write(action.text).then(
          () => (target.text += action.text),
          (error: unknown) =>
            expect(error).toMatchObject({ code: expect.stringMatching(/^STREAM_(FENCED|CANCELLED|ENDED)$/) }),
        );
        break;
      }
      case "end": {
        const writer = written[action.writer]?.writer;
        await (action.failed ? writer?.fail("no") : writer?.close())?.catch((error: unknown) =>
          expect(error).toMatchObject({ code: "STREAM_FENCED" }),
        );
        break;
      }
      case "read":
        open(regions[action.at], action.from, action.token ? reads.at(-1)?.reading.offset : undefined);
        break;
      case "cancel":
        // What has ended there is left as it is.
        if (!(await regions[action.at].cancel(STREAM, CHAT)).final) cancelled = true;
        break;
      case "deliver":
        if (action.from !== action.to) journals.deliver(action.from, action.to, action.count);
        break;
      case "wait":
        await clock.advance(action.ms);
    }
    await settled();
  }

  for (const [from, to] of links) journals.heal(from, to);
  await clock.advance(60);
  // Every region names the same owner, and every other writer knows that it is none.
  const statuses = await Promise.all(REGIONS.map((name) => regions[name].status(STREAM, CHAT)));
  for (const status of statuses) expect(status).toEqual(statuses[0]);
  const { offset, state } = statuses[0]!;
  const ownerName = offset === undefined ? undefined : parseStreamOffset(offset).writer;
  const owners = written.filter(({ writer }) => parseStreamOffset(writer.offset).writer === ownerName);
  expect(owners).toHaveLength(written.length === 0 ? 0 : 1);
  for (const { writer } of written)
    if (writer !== owners[0]?.writer) await expect(over(writer)).resolves.toBe(true);
  const [owner] = owners;
  if (owner === undefined) {
    expect(state).toBe(cancelled ? "cancelled" : "missing");
  } else {
    if (cancelled && state !== "done" && state !== "error") {
      expect(owner.writer.signal.reason).toMatchObject({ code: "STREAM_CANCELLED" });
      expect(state).toBe("cancelled");
    }
    await owner.writer.close();
    // A reader at every place, in every region.
    for (const name of REGIONS)
      for (const from of [0, 1, owner.text.length, owner.text.length + 5])
        open(regions[name], from, undefined);
  }
  await clock.advance(10_000);
  const text = wellFormed(owner?.text ?? "");
  for (const { reading, from, writer } of reads) {
    const place = reading.offset ?? reading.end?.offset;
    const readFrom = place === undefined ? writer : parseStreamOffset(place).writer;
    if (readFrom !== undefined && readFrom !== ownerName) {
      // It read a text that lost: of that text it has a part, and nothing of another.
      const lost = written.some((loser) => wellFormed(loser.text).slice(from).startsWith(reading.text));
      expect(lost).toBe(true);
      expect(reading.error ?? reading.end).toMatchObject(
        reading.error === undefined
          ? { state: expect.stringMatching(/orphaned|cancelled|done|error/) }
          : { code: "STREAM_FENCED" },
      );
      continue;
    }
    if (reading.error !== undefined) {
      // The writer of its offset had not been heard of there, and another had.
      expect(reading).toMatchObject({ text: "", error: { code: "STREAM_FENCED" } });
      expect(writer).toBe(ownerName);
      continue;
    }
    expect(reading.end).toBeDefined();
    // Exactly the text: all of it, or, if its clock gave up on the producer, a part that can be gone on from.
    const whole = text.slice(from);
    if (["orphaned", "missing"].includes(reading.end!.state))
      expect(whole.startsWith(reading.text)).toBe(true);
    else if (reading.end!.state === "cancelled") expect(whole.startsWith(reading.text)).toBe(true);
    else expect(reading.text).toBe(whole);
  }
  expect(clock.pending).toBe(0);
}

/** Whether a writer knows that it may not write. */
async function over(writer: StreamWriter): Promise<boolean> {
  return writer.write("x").then(
    () => false,
    (error: unknown) => /^STREAM_(FENCED|CANCELLED|ENDED)$/.test((error as { code: string }).code),
  );
}

/** What a text is as UTF-8: the halves of a pair may have come in two writes. */
function wellFormed(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, "\uFFFD");
}

test("LIV-8 LIV-9 any reader, anywhere, gets exactly the text of the one writer, however entries arrive", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      await play([{ do: "start", at: "us" }, ...steps]);
    }),
    { numRuns: Number(process.env["STREAM_LOG_RUNS"] ?? 150) },
  );
});
