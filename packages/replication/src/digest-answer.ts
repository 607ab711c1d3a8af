import type { Channel } from "@tidemark/core";
import type { DigestDetail, DigestDetails, DigestObjectEntry } from "./digest-parts.ts";
import type { Replicated } from "./replicated.ts";

/** Bytes of one slot in a reply. */
export const SLOT_ENTRY_BYTES = 34;

/** The digests of slots, or of their objects, as they are now; `undefined` where the state cannot tell. */
export function digestDetails(
  channels: ReadonlyMap<Channel, Replicated>,
  asked: { readonly slots: readonly number[]; readonly detail: DigestDetail },
  options: { readonly replayed: boolean; readonly bytesMax: number },
): DigestDetails | undefined {
  const replicated = channels.get(asked.detail.channel);
  const { replayed, bytesMax } = options;
  if (replicated?.slotDigest === undefined || replicated.objects === undefined) return undefined;
  const slots: { slot: number; digest: Uint8Array }[] = [];
  const objects: DigestObjectEntry[] = [];
  let bytes = 0;
  for (const slot of asked.slots) {
    if (asked.detail.of === "slots") {
      const digest = replicated.slotDigest(slot);
      if (digest.some((byte) => byte !== 0)) slots.push({ slot, digest });
      bytes += SLOT_ENTRY_BYTES;
      if (bytes > bytesMax) return { replayed, slots: slots.slice(0, -1), objects, truncated: true };
      continue;
    }
    for (const object of replicated.objects(slot)) {
      bytes += SLOT_ENTRY_BYTES + 2 + 3 * object.id.length;
      if (bytes > bytesMax) return { replayed, slots, objects, truncated: true };
      objects.push(object);
    }
  }
  return { replayed, slots, objects, truncated: false };
}
