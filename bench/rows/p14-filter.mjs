// P14: `filterVisible` on a page of 1,000 items against a plain loop over a Set.
import assert from "node:assert/strict";
import { compare, rate, seeded } from "../harness.mjs";
import { nobleHasher } from "../../packages/core/dist/index.js";
import { ByteWriter, logId } from "../../packages/core/dist/index.js";
import { encodeOp, SessionFold } from "../../packages/session/dist/index.js";

export const ROWS = ["P14"];

const HIDDEN = 500;
const PAGE = 1_000;

export async function run() {
  const fold = new SessionFold({ hasher: nobleHasher, clusterId: new Uint8Array(8) });
  const writer = new ByteWriter(256);
  const log = logId(1, 0, 1, "sessions");
  const plain = new Set();
  for (let n = 1; n <= HIDDEN; n++) {
    encodeOp(writer.reset(), {
      session: "s",
      lane: { region: 1, epoch: 1 },
      seqno: n,
      stamp: { wallMs: 1_790_000_000_000 + n, counter: 0, clockId: 1 },
      userKey: 0,
      kind: "hide",
      clear: {},
      sealed: { user: "ann", item: `item-${n * 3}` },
    });
    fold.apply(writer.take(), log, n);
    plain.add(`item-${n * 3}`);
  }
  const random = seeded(14);
  const pages = Array.from({ length: 64 }, () =>
    Array.from({ length: PAGE }, () => `item-${Math.floor(random() * 5_000)}`),
  );
  const user = fold.user("ann");
  let kept = 0;
  let page = 0;
  const ours = () => (kept += user.filterVisible(pages[page++ % pages.length]).length);
  const loop = () => {
    const visible = [];
    for (const item of pages[page++ % pages.length]) if (!plain.has(item)) visible.push(item);
    kept += visible.length;
  };
  for (const each of pages)
    assert.deepEqual(
      user.filterVisible(each),
      each.filter((item) => !plain.has(item)),
    );
  const lines = await compare({
    row: "P14",
    work: `filterVisible, 1,000 items, ${HIDDEN} hidden`,
    unit: "items/s",
    variants: { tidemark: () => rate(ours, PAGE), "Set.has in a loop": () => rate(loop, PAGE) },
    // At most twice the time.
    goals: { "Set.has in a loop": 0.5 },
  });
  assert.ok(kept > 0);
  return lines;
}
