import { logId, nobleHasher, regionId } from "@tidemark/core";
import { memoryFs, Vector, type Checkpoint } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeSnapshotBody,
  decodeSnapshotToken,
  encodeSnapshotBody,
  encodeSnapshotToken,
  openSnapshot,
  SnapshotProvider,
  SnapshotTransfer,
} from "../src/index.ts";
import { SnapshotStore } from "../src/snapshot-store.ts";
import { VirtualTimers } from "./virtual-timers.ts";

const LOG = logId(1, 0, 7, "sessions");
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function checkpoint(lsn: number, state: string): Checkpoint {
  const digest = new Uint8Array(16).fill(lsn);
  const parts = new Map([["sessions", new TextEncoder().encode(state)] as const]);
  const body = encodeSnapshotBody({
    membershipVersion: 3,
    foldVersion: 1,
    parts,
    ends: [{ log: LOG, digest }],
  });
  return { vector: Vector.of([{ log: LOG, lsn, digest }]), body };
}

function providerOf(take: () => Checkpoint, followed: (vector: Vector) => boolean = () => true) {
  const timers = new VirtualTimers();
  const provider = new SnapshotProvider({
    hasher: nobleHasher,
    timers,
    idleMs: 1_000,
    partBytes: 20,
    take: async () => take(),
    followed,
  });
  return { timers, provider };
}

test("REP-12 a body comes back as it was, and any bytes decode or give a typed error", () => {
  const body = decodeSnapshotBody(checkpoint(5, "state").body);
  expect(body).toMatchObject({ membershipVersion: 3, foldVersion: 1 });
  expect(text(body.parts.get("sessions")!)).toBe("state");
  expect(body.ends).toEqual([{ log: LOG, digest: new Uint8Array(16).fill(5) }]);
  const good = checkpoint(5, "state").body.slice();
  fc.assert(
    fc.property(fc.nat(), fc.nat(255), (at, byte) => {
      const changed = good.slice();
      changed[at % good.length] = byte;
      for (const bytes of [changed, good.subarray(0, at % good.length)]) {
        try {
          decodeSnapshotBody(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: "DECODE_FAILED" });
        }
      }
    }),
  );
});

test("REP-12 a token comes back as it was; anything else is refused", () => {
  const token = { id: new Uint8Array(16).fill(9), offset: 2 ** 40 };
  expect(decodeSnapshotToken(encodeSnapshotToken(token))).toEqual(token);
  expect(decodeSnapshotToken(encodeSnapshotToken(undefined))).toBeUndefined();
  expect(() => decodeSnapshotToken(new Uint8Array(5))).toThrow(
    expect.objectContaining({ code: "MESSAGE_MALFORMED" }),
  );
});

test("REP-12 a snapshot arrives whole whatever is lost, repeated or dropped on the way, and however often the receiver restarts", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("pass", "lose", "repeat", "restart", "drop", "write"), { maxLength: 60 }),
      async (events) => {
        let lsn = 1;
        const { provider } = providerOf(() => checkpoint(lsn, `state ${lsn} ${"x".repeat(200)}`));
        const fs = memoryFs({ seed: 1 });
        await fs.mkdir("data");
        let store = new SnapshotStore(fs, "data");
        let transfer = new SnapshotTransfer({ bytesMax: 10_000, partial: await store.open() });
        const step = async (event: string): Promise<void> => {
          if (event === "restart") {
            await store.close();
            store = new SnapshotStore(fs, "data");
            transfer = new SnapshotTransfer({ bytesMax: 10_000, partial: await store.open() });
          }
          if (event === "write") lsn += 1;
          if (event === "drop") provider.drop();
          const part = await provider.part(transfer.token);
          if (event === "lose" || transfer.complete) return;
          for (let times = event === "repeat" ? 2 : 1; times > 0; times--) {
            const effect = transfer.receive({ ...part, bytes: part.bytes.slice() });
            if (effect.kind === "begin") await store.begin(regionId(1), effect.part);
            if (effect.kind === "append") await store.append(effect.part);
          }
        };
        for (const event of events) await step(event);
        for (let turn = 0; !transfer.complete && turn < 50; turn++) await step("pass");
        expect(transfer.complete).toBe(true);
        const snapshot = openSnapshot(await store.read(), nobleHasher);
        const at = snapshot.vector.lsnOf(LOG);
        expect(text(decodeSnapshotBody(snapshot.body).parts.get("sessions")!)).toBe(
          `state ${at} ${"x".repeat(200)}`,
        );
        provider.close();
      },
    ),
    { numRuns: 200 },
  );
});

test("REP-12 one snapshot is held at a time, shared, dropped when idle, and taken anew once its tail is gone", async () => {
  let followed = true;
  let lsn = 1;
  const { provider, timers } = providerOf(
    () => checkpoint(lsn++, "x".repeat(100)),
    () => followed,
  );
  const [one, two] = await Promise.all([provider.part(undefined), provider.part(undefined)]);
  expect(one.id).toEqual(two.id);
  expect(provider.taken).toBe(1);
  expect(provider.held?.lsnOf(LOG)).toBe(1);
  await timers.advance(900);
  const more = await provider.part({ id: one.id, offset: 20 });
  expect(more).toMatchObject({ id: one.id, offset: 20 });
  await timers.advance(900);
  expect(provider.held).toBeDefined();
  // One that is under way is finished; one that begins gets a snapshot whose tail is there.
  followed = false;
  expect((await provider.part({ id: one.id, offset: 40 })).id).toEqual(one.id);
  expect((await provider.part(undefined)).id).not.toEqual(one.id);
  expect(await provider.part({ id: one.id, offset: 60 })).toMatchObject({ offset: 0 });
  await timers.advance(1_001);
  expect(provider.held).toBeUndefined();
  provider.close();
  expect(timers.pending).toBe(0);
});

test("REP-12 a snapshot that claims too much, or arrives damaged, is not used", async () => {
  const transfer = new SnapshotTransfer({ bytesMax: 100 });
  const id = new Uint8Array(16);
  expect(transfer.receive({ id, totalBytes: 101, offset: 0, bytes: new Uint8Array(5) }).kind).toBe(
    "too-large",
  );
  expect(transfer.receive({ id, totalBytes: 4, offset: 0, bytes: new Uint8Array(5) }).kind).toBe("ignore");
  expect(transfer.receive({ id, totalBytes: 50, offset: 10, bytes: new Uint8Array(5) }).kind).toBe("ignore");
  expect(transfer.receive({ id, totalBytes: 50, offset: 0, bytes: new Uint8Array(0) }).kind).toBe("ignore");
  const { provider } = providerOf(() => checkpoint(1, "state"));
  const whole: number[] = [];
  for (let part = await provider.part(undefined); ;) {
    whole.push(...part.bytes);
    if (whole.length === part.totalBytes) break;
    part = await provider.part({ id: part.id, offset: whole.length });
  }
  provider.close();
  const bytes = Uint8Array.from(whole);
  openSnapshot(bytes, nobleHasher);
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    expect(() => openSnapshot(changed, nobleHasher)).toThrow(
      expect.objectContaining({ code: "DECODE_FAILED" }),
    );
  }
});
