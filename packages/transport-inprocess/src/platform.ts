/** Above it `setTimeout` fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Timers of the platform. */
export function defaultTimer(ms: number, run: () => void): () => void {
  const timer = globalThis.setTimeout(run, Math.min(ms, TIMEOUT_MS_MAX));
  return () => globalThis.clearTimeout(timer);
}

/** The next turn of the event loop, without the milliseconds a browser adds to nested timers. */
export function defaultDefer(run: () => void): void {
  if (typeof globalThis.setImmediate === "function") {
    globalThis.setImmediate(run);
    return;
  }
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener(
    "message",
    () => {
      port1.close();
      run();
    },
    { once: true },
  );
  port1.start();
  port2.postMessage(undefined);
}
