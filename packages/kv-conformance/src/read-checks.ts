import { bytes, expectThat, expectValue, expectValues, numberBytes, show } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";

const A = bytes("a");
const B = bytes("b");
const NONE = bytes("none");
const EMPTY = new Uint8Array(0);

/** A new store has nothing; what was put is read, one by one. */
export async function readsWhatWasPut({ kv, second }: KvCheckContext): Promise<void> {
  expectValues(await kv.get("p", [A]), [undefined], "get() of a new store");
  await kv.commit("p", { puts: [{ key: A, value: bytes("first") }] });
  expectValues(await kv.get("p", [A]), [bytes("first")], "get() after a put");
  expectValues(await second.get("p", [A]), [bytes("first")], "get() of the second handle");
  await second.commit("p", { puts: [{ key: A, value: bytes("second") }] });
  expectValues(await kv.get("p", [A]), [bytes("second")], "get() after a put of the second handle");
  await kv.commit("p", { deletes: [A] });
  expectValues(await second.get("p", [A]), [undefined], "get() after a delete");
  expectValues(await kv.get("p", []), [], "get() of no keys");
}

/** Values come in the order of the keys, also of keys that repeat or are absent. */
export async function keepsTheOrderAskedFor({ kv }: KvCheckContext): Promise<void> {
  await kv.commit("p", {
    puts: [
      { key: A, value: bytes("1") },
      { key: B, value: bytes("2") },
    ],
  });
  const values = await kv.get("p", [B, NONE, A, B]);
  expectValues(values, [bytes("2"), undefined, bytes("1"), bytes("2")], "get()");
}

/** An empty value is there: it is not the same as none, for a read and for a check. */
export async function tellsEmptyFromAbsent({ kv }: KvCheckContext): Promise<void> {
  await kv.commit("p", { puts: [{ key: A, value: EMPTY }] });
  expectValue((await kv.get("p", [A]))[0], EMPTY, "an empty value");
  const absent = await kv.commit("p", { checks: [{ key: A, value: undefined }] });
  expectThat(!absent.committed, "a check for absence held over an empty value");
  const there = await kv.commit("p", { checks: [{ key: A, value: EMPTY }] });
  expectThat(there.committed, "a check for an empty value failed over an empty value");
  const none = await kv.commit("p", { checks: [{ key: NONE, value: EMPTY }] });
  expectThat(!none.committed, "a check for an empty value held over nothing");
}

/** Partitions whose names look alike, or mean something to some medium. */
const PARTITIONS: readonly string[] = [
  ..."p|p/|p//|/p|p/1|p/10|P|p |p:1|p:1:2|:|{p}|{p}1|{|}|{}|{}p|}p{|p%|%70|%|p%2F1|p*|p?|[p]|.|..|p.1|p\\1".split(
    "|",
  ),
  "p|1",
  "p\n",
  "p\r\n",
  "p\0",
  "p\0\0",
  "\0p",
  "p\x01",
  "é",
  "e\u0301",
  "～",
  "😀",
  "p\ufeff",
  "\ufffd",
  "__proto__",
  "x".repeat(511),
  "x".repeat(512),
  "é".repeat(256),
];

/** Partitions have nothing in common, however alike their names, and whatever their bytes. */
export async function keepsPartitionsApart({ kv, second, claims }: KvCheckContext): Promise<void> {
  // With these keys, name and key written in a row would meet those of another partition.
  const keys = [A, bytes("/a"), Uint8Array.of(0)];
  for (const [number, partition] of PARTITIONS.entries()) {
    for (const key of keys) await kv.commit(partition, { puts: [{ key, value: numberBytes(number) }] });
  }
  for (const [number, partition] of PARTITIONS.entries()) {
    const name = JSON.stringify(partition);
    for (const key of keys) {
      expectValues(await second.get(partition, [key]), [numberBytes(number)], `${name} ${show(key)}`);
    }
    if (!claims.scan) continue;
    const { items } = await second.scan(partition, {});
    expectThat(items.length === keys.length, `a scan of ${name} gave ${items.length} items: it has 3`);
  }
  await kv.commit("p", { deletes: [A] });
  expectValues(await kv.get("p/", [A]), [numberBytes(PARTITIONS.indexOf("p/"))], "the partition beside");
}

/** Keys of any bytes are keys, each its own. */
export async function takesAnyKey({ kv }: KvCheckContext): Promise<void> {
  const keys = [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    Uint8Array.of(0, 0),
    Uint8Array.of(0xff, 0xff),
    Uint8Array.of(0xc3, 0x28),
    Uint8Array.of(0xef, 0xbb, 0xbf),
    bytes("__proto__"),
    bytes("a\r\nb"),
    new Uint8Array(1_023),
    new Uint8Array(1_024),
    new Uint8Array(1_024).fill(0xff),
  ];
  for (const [number, key] of keys.entries()) {
    await kv.commit("p", { puts: [{ key, value: numberBytes(number) }] });
  }
  for (const [number, key] of keys.entries()) {
    expectValues(await kv.get("p", [key]), [numberBytes(number)], `key ${show(key)}`);
  }
}

/** What a caller does with its arrays after a call, or with what it was given, changes nothing. */
export async function copiesInAndOut({ kv, claims }: KvCheckContext): Promise<void> {
  const key = bytes("key");
  const value = bytes("value");
  const committing = kv.commit("p", { puts: [{ key, value }] });
  key.fill(0);
  value.fill(0);
  await committing;
  const read = (await kv.get("p", [bytes("key")]))[0];
  expectValue(read, bytes("value"), "a value whose array was changed once commit() had returned");
  read?.fill(0);
  expectValues(await kv.get("p", [bytes("key")]), [bytes("value")], "a value whose reader changed it");
  const asked = bytes("key");
  const reading = kv.get("p", [asked]);
  asked.fill(0);
  expectValues(await reading, [bytes("value")], "a key whose array was changed once get() had returned");
  const check = { key: bytes("key"), value: bytes("value") };
  const checking = kv.commit("p", { checks: [check] });
  check.key.fill(0);
  check.value.fill(0);
  expectThat((await checking).committed, "a check whose arrays were changed once commit() had returned");
  if (!claims.scan) return;
  const { items } = await kv.scan("p", {});
  items[0]?.key.fill(0);
  items[0]?.value.fill(0);
  const again = (await kv.scan("p", {})).items[0];
  expectThat(show(again?.key) === show(bytes("key")), "a key that the reader of a scan changed");
  expectValue(again?.value, bytes("value"), "a value that the reader of a scan changed");
}

/** A view into a larger array is the bytes of the view. */
export async function respectsViews({ kv, claims }: KvCheckContext): Promise<void> {
  const whole = bytes("..key..value..");
  const key = whole.subarray(2, 5);
  const value = whole.subarray(7, 12);
  await kv.commit("p", { puts: [{ key, value }] });
  expectValues(await kv.get("p", [bytes("key")]), [bytes("value")], "a value put as views");
  expectValues(await kv.get("p", [key]), [bytes("value")], "a key asked for as a view");
  const { committed } = await kv.commit("p", { checks: [{ key, value }] });
  expectThat(committed, "a check of views failed");
  if (!claims.scan) return;
  const { items } = await kv.scan("p", { start: key, end: whole.subarray(2, 6) });
  expectThat(items.length === 1, "a scan with bounds that are views did not find the key");
  // A reader may hand on what it got: its buffer must end where it ends, or be respected.
  const read = items[0]!;
  await kv.commit("p", { puts: [{ key: read.value, value: read.key }] });
  expectValues(await kv.get("p", [bytes("value")]), [bytes("key")], "what a scan gave, put again");
}

/** The values of one `get` are of one moment, whatever is committed meanwhile. */
export async function readsOneView(context: KvCheckContext): Promise<void> {
  await whileBothAreWritten(context, async () => {
    const [a, b] = await context.kv.get("p", [A, B]);
    expectThat(
      show(a) === show(b),
      `get() saw ${show(a)} and ${show(b)}, which were always written together`,
    );
  });
}

/** The items of a page are of one moment, whatever is committed meanwhile. */
export async function scansOneView(context: KvCheckContext): Promise<void> {
  await whileBothAreWritten(context, async () => {
    const { items } = await context.kv.scan("p", {});
    const [a, b] = items.map(({ value }) => show(value));
    expectThat(a === b, `scan() saw ${a} and ${b}, which were always written together`);
  });
}

/** Reads while another handle commits two keys together, over and over. */
async function whileBothAreWritten({ kv, second }: KvCheckContext, read: () => Promise<void>): Promise<void> {
  const write = (number: number) =>
    second.commit("p", { puts: [A, B].map((key) => ({ key, value: numberBytes(number) })) });
  await write(0);
  let reading = true;
  const writing = (async () => {
    for (let number = 1; reading; number++) {
      await write(number);
      // A store that answers without ever waiting must not keep what waits from its turn.
      if (number % 10 === 0) await new Promise((resolve) => globalThis.setTimeout(resolve));
    }
  })();
  try {
    for (let round = 0; round < 100; round++) await Promise.all([read(), read(), kv.get("p", [A])]);
  } finally {
    reading = false;
    await writing;
  }
}
