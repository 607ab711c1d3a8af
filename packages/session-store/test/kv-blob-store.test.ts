import { openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { KvBlobStore } from "../src/kv-blob-store.ts";
import { digestOf, kvWith, quickHasher } from "./attachment-parts.ts";

function open() {
  const kv = openMemoryKv({ valueBytesMax: 400 });
  return { kv, blobs: new KvBlobStore(kv, quickHasher, digestOf) };
}

async function listed(blobs: KvBlobStore): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const page = await blobs.list(after);
    names.push(...page.names.map(({ incarnation }) => incarnation));
    after = page.next;
  } while (after !== undefined);
  return names;
}

const long = Uint8Array.from({ length: 1_000 }, (_, index) => index % 251);
const name = { digest: digestOf(long), incarnation: "first" };

test("KvBlobStore gives back bytes of several chunks, of one, and of none", async () => {
  const { blobs } = open();
  for (const bytes of [long, long.subarray(0, 7), new Uint8Array(0)]) {
    const blob = { digest: digestOf(bytes), incarnation: "first" };
    expect(await blobs.put(blob, bytes)).toBe(blob.digest);
    expect(await blobs.put(blob, bytes)).toBe(blob.digest);
    expect(await blobs.get(blob)).toEqual(bytes);
  }
  expect(await listed(blobs)).toHaveLength(3);
});

test("KvBlobStore lists what an interrupted put left, never reads it, and deletes all of it", async () => {
  for (let calls = 1; calls < 12; calls++) {
    const { kv, blobs } = open();
    let left = calls;
    const dying = new KvBlobStore(
      kvWith(kv, {
        commit: (partition, commit) =>
          left-- > 0 ? kv.commit(partition, commit) : Promise.reject(new Error("died")),
      }),
      quickHasher,
      digestOf,
    );
    const whole = await dying.put(name, long).then(
      () => true,
      () => false,
    );
    expect(await blobs.get(name)).toEqual(whole ? long : undefined);
    expect(await listed(blobs)).toEqual(["first"]);
    await blobs.delete(name);
    expect(await listed(blobs)).toEqual([]);
    expect((await kv.scan(`bytes/${name.digest.slice(0, 2)}`, {})).items).toEqual([]);
  }
});

test("KvBlobStore lets no late chunk stay behind a deletion", async () => {
  const { kv, blobs } = open();
  let deleting: Promise<void> | undefined;
  let commits = 0;
  const late = new KvBlobStore(
    kvWith(kv, {
      async commit(partition, commit) {
        if (++commits === 3) await (deleting ??= blobs.delete(name));
        return kv.commit(partition, commit);
      },
    }),
    quickHasher,
    digestOf,
  );
  await expect(late.put(name, long)).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
  expect((await kv.scan(`bytes/${name.digest.slice(0, 2)}`, {})).items).toEqual([]);
});
