import type { KV } from "@nats-io/kv";
import { KvError } from "@tidemark/kv";
import { storedOf } from "./bucket.ts";
import { isConflict } from "./errors.ts";

/** The format of the store: what the key `format` of its bucket holds. Keys of partitions have a dot in them. */
export const NATS_KV_FORMAT: number = 1;

const KEY = "format";

/** Gives an empty bucket the format. @throws `KvError` `KV_STORE_VERSION` if it has another, or holds keys and has none. */
export async function settleFormat(kv: KV): Promise<void> {
  const used = (await kv.status()).values > 0;
  let { value } = storedOf(await kv.get(KEY));
  if (value === undefined && !used) {
    // Whoever is first makes it; the others find it.
    await kv.create(KEY, `${NATS_KV_FORMAT}`).catch((error: unknown) => {
      if (!isConflict(error)) throw error;
    });
    value = storedOf(await kv.get(KEY)).value;
  }
  const actual = value === undefined ? 0 : Number(new TextDecoder().decode(value));
  if (actual === NATS_KV_FORMAT) return;
  throw new KvError(
    "KV_STORE_VERSION",
    `Cannot open the store: it is of format ${actual}, this program reads ${NATS_KV_FORMAT}`,
    { actual, expected: NATS_KV_FORMAT },
  );
}
