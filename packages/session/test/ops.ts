import { logId, nobleHasher, SignalSums } from "@tidemark/core";
import { carriedDigest, encodeCarried } from "../src/carried-state.ts";
import type { Op } from "../src/index.ts";

const header = {
  session: "s-1",
  lane: { region: 1, epoch: 1_790_000_000 },
  seqno: 7,
  stamp: { wallMs: 1_790_000_000_123, counter: 2, clockId: 1 },
  userKey: 0,
};
const operation = {
  tag: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
  digest: Uint8Array.from([9, 10, 11, 12, 13, 14, 15, 16]),
};
const dots = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];
const hidden = { user: "ann", item: "item-9" };

/** An operation of each kind, and of each form of session id, lane and number. */
export const SAMPLES: Readonly<Record<string, Op>> = {
  "start with everything": {
    ...header,
    operation,
    kind: "start",
    clear: { policy: "default", policyVersion: 3, parent: "s-0" },
    sealed: { user: "ann", agent: "shopper", metadata: { plan: "pro", ä: "ö", __proto__x: "1" } },
  },
  "start of a UUID": {
    ...header,
    session: "0b7e4c1e-5a0c-4f2e-9a44-6f1f3f9d2a10",
    kind: "start",
    clear: { policy: "", policyVersion: 0 },
    sealed: { user: "ann", agent: "shopper", metadata: {} },
  },
  signal: {
    ...header,
    kind: "signal",
    clear: { entity: "item-42", signal: "save", weight: 1.25, eventTimeMs: 1_790_000_000_000 },
    sealed: {},
  },
  "signal with an annotation, in a client's lane": {
    ...header,
    lane: { producer: "00112233445566778899aabbccddeeff", epoch: 2 },
    seqno: 300,
    kind: "signal",
    clear: { entity: "ünïcode", signal: "rate", weight: -0.1, eventTimeMs: 1_790_000_000_900 },
    sealed: { annotation: "not this one" },
  },
  "signal of no weight at the epoch": {
    ...header,
    kind: "signal",
    clear: { entity: "e", signal: "seen", weight: 0, eventTimeMs: 0 },
    sealed: {},
  },
  prefer: { ...header, operation, kind: "prefer", clear: {}, sealed: { key: "size", value: "m" } },
  "annotate the session": { ...header, kind: "annotate", clear: {}, sealed: { text: "likes linen" } },
  "annotate an entity": {
    ...header,
    kind: "annotate",
    clear: {},
    sealed: { text: "too long", entity: "item-42" },
  },
  hide: { ...header, kind: "hide", clear: {}, sealed: hidden },
  unhide: { ...header, operation, kind: "unhide", clear: { dots }, sealed: hidden },
  mute: { ...header, kind: "mute", clear: {}, sealed: hidden },
  unmute: { ...header, kind: "unmute", clear: { dots: [] }, sealed: hidden },
  block: { ...header, kind: "block", clear: {}, sealed: hidden },
  unblock: { ...header, kind: "unblock", clear: { dots: dots.slice(0, 1) }, sealed: hidden },
  "search, number above 2^32": {
    ...header,
    seqno: 2 ** 40,
    kind: "search",
    clear: {},
    sealed: { query: "linen shirt" },
  },
  close: { ...header, kind: "close", clear: { reason: 0 }, sealed: {} },
  app: {
    ...header,
    kind: "app",
    clear: { namespace: "chat" },
    sealed: { bytes: Uint8Array.from([0, 255, 1]) },
  },
  "app of 200 bytes": {
    ...header,
    kind: "app",
    clear: { namespace: "chat" },
    sealed: { bytes: new Uint8Array(200).fill(7) },
  },
};

/** What destroys a user's keys. */
export const ERASE_SAMPLES: Readonly<Record<string, Op>> = {
  erase: {
    ...header,
    operation,
    session: "erase.000102030405060708090a0b0c0d0e0f",
    kind: "erase",
    clear: { pseudonym: Uint8Array.from({ length: 16 }, (_, at) => at), upTo: 3 },
    sealed: {},
  },
};

/** What the owner of a session writes. */
export const PURGE_SAMPLES: Readonly<Record<string, Op>> = {
  "close for idleness": {
    ...header,
    kind: "close",
    clear: { reason: 1, latest: { wallMs: 1_790_000_000_100, counter: 1, clockId: 2 } },
    sealed: {},
  },
  "close when its time was over": { ...header, kind: "close", clear: { reason: 2 }, sealed: {} },
  purge: { ...header, session: "s-9", kind: "purge", clear: {}, sealed: {} },
};

const sums = (() => {
  const sum = new SignalSums({ halfLifeMs: 7 * 24 * 60 * 60 * 1000, windows: false });
  sum.add(1.25, 1_790_000_000_000);
  return sum;
})();
const carried = encodeCarried([
  {
    session: "s-0",
    stamp: header.stamp,
    lanes: [{ bytes: Uint8Array.from([1, 1, 0, 128, 29, 177, 106]), ranges: [{ from: 1, to: 6 }] }],
    signals: new Map([["item-42", new Map([["save", sums]])]]),
    hints: new Map([["size", { stamp: header.stamp, text: "m" }]]),
    annotations: [
      { stamp: header.stamp, text: "likes linen" },
      { stamp: header.stamp, text: "too long", about: "item-42" },
    ],
    searches: [{ stamp: header.stamp, text: "linen shirt" }],
    apps: new Map([["chat", [{ stamp: header.stamp, bytes: Uint8Array.from([0, 255, 1]) }]]]),
  },
]);
const people = { user: "ann", agent: "shopper", metadata: { plan: "pro" } };
const brought = { digest: carriedDigest(nobleHasher, carried), state: carried };

/** What begins a session that carries another: a fold of version 1 does not know these kinds. */
export const FORK_SAMPLES: Readonly<Record<string, Op>> = {
  fork: {
    ...header,
    session: "s-fork",
    operation,
    kind: "fork",
    clear: {
      policy: "default",
      policyVersion: 3,
      vector: [{ log: logId(1, 0, 1_790_000_000, "sessions"), lsn: 300 }],
      parents: ["s-0"],
    },
    sealed: { ...people, ...brought },
  },
  merge: {
    ...header,
    session: "s-merge",
    kind: "merge",
    clear: { policy: "", policyVersion: 0, vector: [], parents: ["s-0", "s-1"] },
    sealed: { ...people, ...brought },
  },
};
