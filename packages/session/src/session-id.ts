import { guardUpTo } from "@tidemark/core";
import { formatUuid, isUuid, UUID_BYTES } from "./session-id-bytes.ts";

/** The most a slot in an id can be: 12 bits. */
const SLOT_MAX = 0xfff;
const VERSION = 0x80;
const VARIANT = 0x80;

/**
 * A new session id: a UUID of version 8 (RFC 9562 §5.8) whose `custom_b`, the three digits behind the version, is the
 * slot of its user, so that whoever sees the id alone knows which shard it belongs to.
 *
 * @param random - 16 random bytes; 110 of their bits are used.
 * @param slot - 0 to 4,095.
 *
 * @example
 * ```ts
 * const id = mintSessionId(new Uint8Array(16).fill(0xab), 0x123);
 * assert.equal(id, "abababab-abab-8123-abab-abababababab");
 * assert.equal(slotOfSessionId(id), 0x123);
 * ```
 */
export function mintSessionId(random: Uint8Array, slot: number): string {
  if (random.length !== UUID_BYTES) throw new RangeError(`An id has 16 random bytes: ${random.length}`);
  guardUpTo(slot, "slot", SLOT_MAX);
  const bytes = random.slice();
  bytes[6] = VERSION | (slot >>> 8);
  bytes[7] = slot & 0xff;
  bytes[8] = ((bytes[8] as number) & 0x3f) | VARIANT;
  return formatUuid(bytes, 0);
}

/** The slot that a minted id names; `undefined` for any other id. */
export function slotOfSessionId(id: string): number | undefined {
  if (!isUuid(id) || id[14] !== "8" || !"89ab".includes(id[19] as string)) return undefined;
  return Number.parseInt(id.slice(15, 18), 16);
}
