import type { Kv } from "@tidemark/kv";

/** Where a process dies: at which call of the store, counted from 1, and on which side of its effect. */
export interface Death {
  readonly call: number;
  readonly side: "before" | "after";
}

/** A store at one of whose calls `die` is called: what comes after it never happens. */
export function dyingKv(
  kv: Kv,
  death: Death | undefined,
  die: () => void,
): Kv & { readonly calls: () => number } {
  let calls = 0;
  const step = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
    calls += 1;
    const here = calls === death?.call;
    if (here && death.side === "before") die();
    const answer = await call();
    if (here && death.side === "after") die();
    return answer;
  };
  return {
    capabilities: kv.capabilities,
    calls: () => calls,
    nowMs: () => kv.nowMs(),
    get: (partition, keys, options) => step(() => kv.get(partition, keys, options)),
    scan: (partition, range, options) => step(() => kv.scan(partition, range, options)),
    commit: (partition, commit, options) => step(() => kv.commit(partition, commit, options)),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
  };
}
