// How long after it was acknowledged in one region an operation is readable in another.
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";

/** Sends at `perSecond` in ticks of a millisecond; `send` gets the number of the message. Resolves once all were sent. */
export async function paced(perSecond, seconds, send) {
  const total = Math.round(perSecond * seconds);
  const start = performance.now();
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * perSecond));
    for (; sent < due; sent++) send(sent);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return total;
}

/** Waits until `done()`, for ten seconds at most. */
export async function until(done) {
  const deadline = performance.now() + 10_000;
  while (!done() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** The lag of each operation in milliseconds. */
export async function lagsOf(session, remote, perSecond, seconds) {
  const acknowledged = new Map();
  const seen = new Map();
  const lags = [];
  const settle = (key) => {
    const [from, to] = [acknowledged.get(key), seen.get(key)];
    if (from === undefined || to === undefined) return;
    acknowledged.delete(key);
    seen.delete(key);
    // Readable there before the caller heard of it here counts as no lag.
    lags.push(Math.max(0, to - from));
  };
  const stop = remote.onChange((change) => {
    const key = `${change.position.lane}/${change.position.seqno}`;
    seen.set(key, performance.now());
    settle(key);
  });
  const writes = [];
  const total = await paced(perSecond, seconds, (sent) => {
    writes.push(
      session.signal(`entity-${sent % 100}`, "view", 1).then((result) => {
        const key = `${result.position.lane}/${result.position.seqno}`;
        acknowledged.set(key, performance.now());
        settle(key);
      }),
    );
  });
  await Promise.all(writes);
  await until(() => lags.length >= total);
  stop();
  assert.equal(lags.length, total);
  return lags;
}
