import { guardSafe } from "@tidemark/core";
import { canonicalJson, type JsonValue } from "./canonical-json.ts";
import { SessionStoreError } from "./errors.ts";
import { guardText } from "./text.ts";
import type { DeliveryPolicy, SlotPolicy, WorkBatch, WorkItem } from "./work-batch.ts";

/** UTF-8 bytes of a batch's id, an item's id, a source key and a merge key, at most. */
export const WORK_TEXT_BYTES_MAX: number = 512;

/** Items of one batch, at most. */
export const WORK_ITEMS_MAX: number = 256;

/** Work to be queued. */
export interface WorkDraft {
  /** 1 to {@link WORK_ITEMS_MAX} pieces of input, in order; an id that is left out is made from the batch's. */
  readonly items: readonly { readonly id?: string; readonly payload: JsonValue }[];
  /** The caller's name for this input, so that queuing it again is queuing it once. */
  readonly sourceKey?: string;
  /** @defaultValue `earliest-safe-boundary` */
  readonly delivery?: DeliveryPolicy;
  /** @defaultValue `exclusive` */
  readonly slot?: SlotPolicy;
  readonly mergeKey?: string;
  /** Unix ms of the store's clock before which it is not handed out. @defaultValue 0: at once */
  readonly availableAtMs?: number;
}

/** A draft that was checked: a batch without its place in a queue, and its size. */
export interface WorkContent {
  readonly batch: Omit<WorkBatch, "session" | "sequence" | "enqueuedAtMs">;
  /** Bytes of the items as canonical JSON. */
  readonly bytes: number;
}

const DELIVERIES: ReadonlySet<unknown> = new Set(["earliest-safe-boundary", "after-current-turn"]);
const SLOTS: ReadonlySet<unknown> = new Set(["exclusive", "join"]);
const utf8 = new TextEncoder();

/**
 * Checks a draft and names what it leaves unnamed.
 *
 * @param id - The batch's, which must be new.
 * @throws SessionStoreError `COMMIT_TOO_LARGE` if its items have more than `bytesMax` bytes; `TypeError` or `RangeError`
 * for what no batch can have.
 */
export function workContent(draft: WorkDraft, id: string, bytesMax: number): WorkContent {
  const { delivery = "earliest-safe-boundary", slot = "exclusive", availableAtMs = 0 } = draft;
  if (!DELIVERIES.has(delivery))
    throw new TypeError(`delivery must be a delivery policy: ${String(delivery)}`);
  if (!SLOTS.has(slot)) throw new TypeError(`slot must be a slot policy: ${String(slot)}`);
  guardSafe(availableAtMs, "availableAtMs");
  const items = itemsOf(draft, id);
  const bytes = utf8.encode(canonicalJson(items as never)).length;
  if (bytes > bytesMax) {
    throw new SessionStoreError(
      "COMMIT_TOO_LARGE",
      `Cannot queue ${bytes} bytes at once: the limit is ${bytesMax}`,
      {
        limit: bytesMax,
        actual: bytes,
      },
    );
  }
  const batch = {
    id: guardText(id, "id", WORK_TEXT_BYTES_MAX),
    ...optionalText("sourceKey", draft.sourceKey),
    items,
    delivery,
    slot,
    ...optionalText("mergeKey", draft.mergeKey),
    availableAtMs,
  };
  return { batch, bytes };
}

/**
 * Whether two batches are the same input: payloads, policies and merge key. Ids and times are outside it, because a
 * retry mints and computes them anew.
 */
export function sameWork(a: WorkContent["batch"], b: WorkContent["batch"]): boolean {
  return meaning(a) === meaning(b);
}

function meaning({ items, delivery, slot, mergeKey }: WorkContent["batch"]): string {
  return canonicalJson([items.map((item) => item.payload), delivery, slot, mergeKey ?? null]);
}

function itemsOf(draft: WorkDraft, batch: string): WorkItem[] {
  const count = draft.items.length;
  if (count < 1 || count > WORK_ITEMS_MAX) {
    throw new RangeError(`items must be 1 to ${WORK_ITEMS_MAX}: ${count}`);
  }
  const items = draft.items.map(({ id, payload }, index) => ({
    id: guardText(id ?? `${batch}.${index + 1}`, "item id", WORK_TEXT_BYTES_MAX),
    payload,
  }));
  if (new Set(items.map((item) => item.id)).size !== count) throw new RangeError("item ids must differ");
  return items;
}

function optionalText<Name extends string>(
  name: Name,
  value: string | undefined,
): { readonly [key in Name]?: string } {
  if (value === undefined) return {};
  return { [name]: guardText(value, name, WORK_TEXT_BYTES_MAX) } as { readonly [key in Name]: string };
}
