import type { KvItem, KvRange } from "@tidemark/kv";
import type { View } from "./decision.ts";
import { asSessionStoreError } from "./errors.ts";

/** Every item of a range, page by page. A page that cannot be read fails the whole: part of a range is no answer. */
export async function scanAll(view: View, range: KvRange): Promise<KvItem[]> {
  const items: KvItem[] = [];
  let rest: KvRange | undefined = range;
  try {
    while (rest !== undefined) {
      const page = await view.scan(rest);
      items.push(...page.items);
      rest = page.next === undefined ? undefined : { ...rest, start: page.next };
    }
  } catch (error) {
    throw asSessionStoreError(error);
  }
  return items;
}
