import { openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { noAttachmentManifest } from "../src/attachment-manifest.ts";
import type { BlobStore } from "../src/blob-store.ts";
import { sessionKeys, sessionPartition } from "../src/keys.ts";
import { leaseFence, leaseRecord, type LeaseRecord } from "../src/lease.ts";
import { MemoryBlobStore } from "../src/memory-blob-store.ts";
import {
  attachmentsOf,
  collectorOf,
  digestOf,
  kvWith,
  makeSession,
  quickHasher,
} from "./attachment-parts.ts";
import type { Hands } from "./interleavings.ts";

const one = Uint8Array.of(1, 2, 3);
const two = Uint8Array.of(4, 5);
const three = Uint8Array.of(6);

interface Bench extends Hands {
  readonly clock: { nowMs: number };
  readonly blobs: MemoryBlobStore;
}

async function bench(): Promise<Bench> {
  const clock = { nowMs: 1_000 };
  let count = 0;
  const kv = openMemoryKv({ nowMs: () => clock.nowMs });
  const hands = { kv, clock, blobs: new MemoryBlobStore(digestOf), fresh: () => `name-${++count}` };
  await makeSession(hands, "a");
  await makeSession(hands, "b");
  return hands;
}

/** A blob store whose methods are others where they are given. */
function blobsWith(blobs: BlobStore, other: Partial<BlobStore>): BlobStore {
  return {
    durability: blobs.durability,
    put: (name, bytes) => blobs.put(name, bytes),
    get: (name) => blobs.get(name),
    delete: (name) => blobs.delete(name),
    list: (after) => blobs.list(after),
    ...other,
  };
}

async function names(blobs: BlobStore): Promise<string[]> {
  return (await blobs.list()).names.map(({ digest }) => digest);
}

const outage = (): Promise<never> => Promise.reject(new Error("outage"));

test("C-70 bytes are never written if the intent could not be recorded", async () => {
  const hands = await bench();
  const kv = kvWith(hands.kv, { get: outage, commit: outage });
  const attachments = attachmentsOf({ ...hands, kv }, "a");
  await expect(attachments.put({ bytes: one, uri: "file:one" })).rejects.toThrow("outage");
  expect(await names(hands.blobs)).toEqual([]);
});

test("C-70 the intent is recorded when the bytes arrive", async () => {
  const hands = await bench();
  const seen: number[] = [];
  const blobs = blobsWith(hands.blobs, {
    async put(name, bytes) {
      seen.push((await attachmentsOf(hands, "a").uncommitted(1_000)).length);
      return hands.blobs.put(name, bytes);
    },
  });
  await attachmentsOf({ ...hands, blobs }, "a").put({ bytes: one, uri: "file:one" });
  expect(seen).toEqual([1]);
});

test("C-71 the id is the hash of the bytes, another answer of the blob store is an error, equal bytes are one blob", async () => {
  const hands = await bench();
  const attachments = attachmentsOf(hands, "a");
  const row = await attachments.put({ bytes: one, uri: "file:one" });
  expect(row).toEqual({ id: digestOf(one), session: "a", uri: "file:one", intentAtMs: 1_000 });
  await attachmentsOf(hands, "b").put({ bytes: one, uri: "file:same" });
  expect(await names(hands.blobs)).toEqual([row.id]);
  await expect(attachments.put({ bytes: two, uri: "", id: row.id })).rejects.toMatchObject({
    code: "ATTACHMENT_MISMATCH",
  });

  const lying = blobsWith(hands.blobs, { put: () => Promise.resolve(row.id) });
  const put = attachmentsOf({ ...hands, blobs: lying }, "a").put({ bytes: two, uri: "" });
  await expect(put).rejects.toMatchObject({ code: "ATTACHMENT_MISMATCH" });
});

test("C-71 bytes that were changed in the blob store are not given out", async () => {
  const hands = await bench();
  const { id } = await attachmentsOf(hands, "a").put({ bytes: one, uri: "" });
  const blobs = blobsWith(hands.blobs, { get: () => Promise.resolve(two) });
  await expect(attachmentsOf({ ...hands, blobs }, "a").get(id)).rejects.toMatchObject({
    code: "ATTACHMENT_MISMATCH",
  });
});

test("C-72 committing stamps rows of this session once, inserts none, and ignores unknown ids", async () => {
  const hands = await bench();
  const attachments = attachmentsOf(hands, "a");
  const { id } = await attachments.put({ bytes: one, uri: "" });
  const other = await attachmentsOf(hands, "b").put({ bytes: two, uri: "" });
  hands.clock.nowMs = 2_000;
  expect(await attachments.commit([id, other.id, "nonsense", id])).toEqual({
    committed: [id],
    unknown: [other.id, "nonsense"],
  });
  hands.clock.nowMs = 3_000;
  expect(await attachments.commit([id])).toEqual({ committed: [id], unknown: [] });
  expect(await attachments.rows()).toEqual([
    { id, session: "a", uri: "", intentAtMs: 1_000, committedAtMs: 2_000 },
  ]);
  await attachments.put({ bytes: one, uri: "again" });
  expect(await attachments.row(id)).toMatchObject({ uri: "", committedAtMs: 2_000 });
  expect(await attachmentsOf(hands, "b").row(other.id)).not.toHaveProperty("committedAtMs");
});

test("C-73 uncommitted intents are listed up to a time, inclusive, oldest first", async () => {
  const hands = await bench();
  const attachments = attachmentsOf(hands, "a");
  const ids: string[] = [];
  for (const [index, bytes] of [three, one, two].entries()) {
    hands.clock.nowMs = 1_000 + index;
    ids.push((await attachments.put({ bytes, uri: "" })).id);
  }
  const listed = async (atMs: number) => (await attachments.uncommitted(atMs)).map(({ id }) => id);
  expect(await listed(999)).toEqual([]);
  expect(await listed(1_001)).toEqual(ids.slice(0, 2));
  await attachments.commit([ids[0]!]);
  expect(await listed(1_002)).toEqual(ids.slice(1));
});

test("C-74 forgetting a row is idempotent, and its bytes go with the next collection", async () => {
  const hands = await bench();
  const attachments = attachmentsOf(hands, "a");
  const { id } = await attachments.put({ bytes: one, uri: "" });
  await attachments.forget(id);
  await attachments.forget(id);
  expect(await attachments.row(id)).toBeUndefined();
  expect(await names(hands.blobs)).toEqual([id]);
  expect(await collectorOf(hands).collect()).toMatchObject({
    roots: 0,
    retained: 0,
    deleted: 1,
    complete: true,
  });
  expect(await names(hands.blobs)).toEqual([]);
});

test("C-75 a manifest that keeps nothing is legal", async () => {
  await noAttachmentManifest.intend({ id: digestOf(one), uri: "" });
  expect(await noAttachmentManifest.commit([digestOf(one)])).toEqual({ committed: [], unknown: [] });
  await noAttachmentManifest.forget(digestOf(one));
  expect(await noAttachmentManifest.uncommitted(Number.MAX_SAFE_INTEGER)).toEqual([]);
});

test("C-76 two sessions with the same bytes have a row each, and one forgetting takes nothing from the other", async () => {
  const hands = await bench();
  const [a, b] = [attachmentsOf(hands, "a"), attachmentsOf(hands, "b")];
  const { id } = await a.put({ bytes: one, uri: "a" });
  await b.put({ bytes: one, uri: "b" });
  await b.commit([id]);
  expect(await a.uncommitted(1_000)).toHaveLength(1);
  await a.sweep(1_000);
  await collectorOf(hands).collect();
  expect(await b.get(id)).toEqual(one);
  await expect(a.get(id)).rejects.toMatchObject({ code: "ATTACHMENT_MISSING" });
});

test("C-77 an intent is not given up while the lease it was recorded under is held, however old it is", async () => {
  const hands = await bench();
  const attachments = attachmentsOf(hands, "a");
  const lease: LeaseRecord = {
    session: "a",
    owner: "worker",
    nonce: "n",
    generation: 1,
    claimedAtMs: 1_000,
    expiresAtMs: 9_000,
    released: false,
  };
  const partition = sessionPartition("a");
  await hands.kv.commit(partition, {
    puts: [leaseRecord.item(lease, sessionKeys.lease, { partition, hasher: quickHasher })],
  });
  const { id } = await attachments.put({ bytes: one, uri: "", fence: leaseFence(lease) });
  hands.clock.nowMs = 8_999;
  expect(await attachments.sweep(8_999)).toEqual([]);
  hands.clock.nowMs = 9_000;
  expect(await attachments.sweep(9_000)).toEqual([id]);
});

test("C-77 what could not be looked at is kept, and said to be so", async () => {
  const hands = await bench();
  const { id } = await attachmentsOf(hands, "a").put({ bytes: one, uri: "" });
  await attachmentsOf(hands, "a").forget(id);
  const blind = kvWith(hands.kv, {
    get: (partition, keys) =>
      partition === sessionPartition("a") ? outage() : hands.kv.get(partition, keys),
  });
  const report = await collectorOf({ ...hands, kv: blind }).collect();
  expect(report).toMatchObject({ retained: 1, deleted: 0, complete: false });
  const unlisted = blobsWith(hands.blobs, { list: outage });
  expect(await collectorOf({ ...hands, kv: blind, blobs: unlisted }).collect()).toMatchObject({
    complete: false,
  });
  expect(await names(hands.blobs)).toEqual([id]);
  expect(await collectorOf(hands).collect()).toMatchObject({ deleted: 1, failures: [], complete: true });
});

test("C-77 bytes that arrive after their life ended are strays, and go", async () => {
  const hands = await bench();
  await hands.blobs.put({ digest: digestOf(one), incarnation: "over" }, one);
  const { id } = await attachmentsOf(hands, "a").put({ bytes: one, uri: "" });
  expect(await collectorOf(hands).collect()).toMatchObject({ roots: 1, retained: 1, deleted: 0, strays: 1 });
  expect(await attachmentsOf(hands, "a").get(id)).toEqual(one);
  expect(await collectorOf(hands).collect()).toMatchObject({ strays: 0 });
});

test("C-78 bytes are read only through a session that holds a reference", async () => {
  const hands = await bench();
  const { id } = await attachmentsOf(hands, "a").put({ bytes: one, uri: "" });
  expect(await attachmentsOf(hands, "a").get(id)).toEqual(one);
  await expect(attachmentsOf(hands, "b").get(id)).rejects.toMatchObject({ code: "ATTACHMENT_MISSING" });
  await expect(attachmentsOf(hands, "a").get("guess")).rejects.toMatchObject({ code: "ATTACHMENT_MISSING" });
});

test("RUN-8 a blob store that cannot answer is not one that holds nothing", async () => {
  const hands = await bench();
  const { id } = await attachmentsOf(hands, "a").put({ bytes: one, uri: "" });
  const blobs = blobsWith(hands.blobs, { get: outage });
  await expect(attachmentsOf({ ...hands, blobs }, "a").get(id)).rejects.toMatchObject({
    code: "STORAGE_FAILED",
  });
  await hands.blobs.delete((await hands.blobs.list()).names[0]!);
  await expect(attachmentsOf(hands, "a").get(id)).rejects.toMatchObject({ code: "ATTACHMENT_MISSING" });
});
