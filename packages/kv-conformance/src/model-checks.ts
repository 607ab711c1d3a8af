import type { Kv, KvCapabilities, KvCommit, KvItem, KvRange } from "@tidemark/kv";
import fc from "fast-check";
import { KvCheckError, expectThat, expectValues, sameValue, show } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";
import { allPages } from "./scan-checks.ts";

/** One call of a random history, by either handle. */
type Step = { readonly bySecond: boolean } & (
  | { readonly kind: "get"; readonly keys: readonly Uint8Array[] }
  | { readonly kind: "scan"; readonly range: KvRange }
  | { readonly kind: "commit"; readonly draft: CommitDraft }
);

/** A commit whose checks are still to be told what is stored. */
interface CommitDraft {
  readonly checks: readonly { readonly key: Uint8Array; readonly holds: boolean }[];
  readonly writes: readonly { readonly key: Uint8Array; readonly value: Uint8Array | undefined }[];
}

/** So few bytes that keys meet often; both ends of the order are among them, and keys that begin others. */
const bytesOf = (minLength: number) =>
  fc
    .array(fc.constantFrom(0, 0x61, 0xff), { minLength, maxLength: 2 })
    .map((bytes) => Uint8Array.from(bytes));
const key = bytesOf(1);
/** `undefined` deletes, as often as not. */
const written = fc.option(fc.uint8Array({ maxLength: 3 }), { nil: undefined, freq: 2 });
/** Seldom enough that most commits happen, though one has several checks. */
const holds = fc.nat(9).map((draw) => draw > 0);
const distinct = { maxLength: 4, comparator: sameValue, selector: (one: { key: Uint8Array }) => one.key };

const range: fc.Arbitrary<KvRange> = fc.record(
  {
    prefix: bytesOf(0),
    start: bytesOf(0),
    end: bytesOf(0),
    reverse: fc.boolean(),
    limit: fc.integer({ min: 1, max: 5 }),
  },
  { requiredKeys: [] },
);

function stepOf({ scan, keysPerCommitMax }: KvCapabilities): fc.Arbitrary<Step> {
  const bySecond = fc.boolean();
  const draft = fc.record({
    checks: fc.uniqueArray(fc.record({ key, holds }), distinct),
    writes: fc.uniqueArray(fc.record({ key, value: written }), distinct),
  });
  const single = fc.record({ key, holds, value: written }).map((one) => ({
    checks: [{ key: one.key, holds: one.holds }],
    writes: [{ key: one.key, value: one.value }],
  }));
  const commit = fc.record({
    kind: fc.constant("commit" as const),
    bySecond,
    draft: keysPerCommitMax < 8 ? single : draft,
  });
  const keys = fc.array(key, { maxLength: scan ? 4 : 1 });
  const get = fc.record({ kind: fc.constant("get" as const), bySecond, keys });
  if (!scan) return fc.oneof(commit, get);
  return fc.oneof(commit, commit, get, fc.record({ kind: fc.constant("scan" as const), bySecond, range }));
}

/** Random histories of commits, reads and scans give what a sorted map gives, step by step. */
export async function followsAModel(context: KvCheckContext): Promise<void> {
  const { claims, historyCount, seed } = context;
  let history = 0;
  const property = fc.asyncProperty(
    fc.array(stepOf(claims), { minLength: 10, maxLength: 40 }),
    async (steps) => {
      history += 1;
      const model = new Model();
      for (const step of steps) await take(step, context, `model/${history}`, model);
    },
  );
  const parameters = { numRuns: historyCount, ...(seed === undefined ? {} : { seed }) };
  const details = await fc.check(property, parameters);
  const [cause, told] = [details.errorInstance, fc.defaultReportMessage(details)];
  if (details.failed) throw new KvCheckError(told ?? String(cause), { cause });
}

async function take(step: Step, context: KvCheckContext, partition: string, model: Model): Promise<void> {
  const kv = step.bySecond ? context.second : context.kv;
  if (step.kind === "get") {
    const wanted = step.keys.map((one) => model.get(one));
    return expectValues(await kv.get(partition, step.keys), wanted, "get()");
  }
  if (step.kind === "scan") return expectItems(kv, partition, step.range, model);
  const commit = commitOf(step.draft, model);
  const failed = step.draft.checks.findIndex(({ holds }) => !holds);
  const result = await kv.commit(partition, commit);
  const told = result.committed ? -1 : result.failed;
  expectThat(told === failed, `commit(): expected ${failed} to fail first (-1: none) and got ${told}`);
  if (result.committed) model.apply(step.draft);
}

async function expectItems(kv: Kv, partition: string, asked: KvRange, model: Model): Promise<void> {
  const wanted = model.within(asked);
  const first = await kv.scan(partition, asked);
  const got = await allPages(kv, asked, partition);
  const text = (items: readonly KvItem[]) =>
    items.map((item) => `${show(item.key)}=${show(item.value)}`).join(" ");
  expectThat(text(got) === text(wanted), `scan(): expected ${text(wanted)} and got ${text(got)}`);
  const page = wanted.slice(0, asked.limit);
  expectThat(text(first.items) === text(page), `a page: expected ${text(page)} and got ${text(first.items)}`);
}

function commitOf({ checks, writes }: CommitDraft, model: Model): KvCommit {
  return {
    checks: checks.map(({ key: checked, holds }) => {
      const stored = model.get(checked);
      if (holds) return { key: checked, value: stored };
      return { key: checked, value: stored === undefined ? new Uint8Array(0) : undefined };
    }),
    puts: writes.flatMap(({ key: put, value: given }) =>
      given === undefined ? [] : [{ key: put, value: given }],
    ),
    deletes: writes.filter((write) => write.value === undefined).map((write) => write.key),
  };
}

/** The naive store: items by the hexadecimal text of their key, sorted whenever somebody asks. */
class Model {
  readonly #items = new Map<string, KvItem>();

  get(one: Uint8Array): Uint8Array | undefined {
    return this.#items.get(show(one))?.value;
  }

  apply({ writes }: CommitDraft): void {
    for (const write of writes) {
      if (write.value === undefined) this.#items.delete(show(write.key));
      else this.#items.set(show(write.key), { key: write.key, value: write.value });
    }
  }

  within({ prefix, start, end, reverse }: KvRange): KvItem[] {
    const items = [...this.#items]
      .filter(([text]) => prefix === undefined || text.startsWith(show(prefix)))
      .filter(([text]) => start === undefined || text >= show(start))
      .filter(([text]) => end === undefined || text < show(end))
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([, item]) => item);
    return reverse === true ? items.reverse() : items;
  }
}
