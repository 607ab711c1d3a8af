import { rmSync } from "node:fs";

/** Unix milliseconds of this machine. */
export const systemClock = (): number => Date.now();

/** Runs once in the next turn of the event loop, behind what the system has ready; returns how to cancel it. */
export function nextTurn(run: () => void): () => void {
  const turn = setImmediate(run);
  return () => clearImmediate(turn);
}

/** Runs again and again; returns how to end it. */
export function every(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms);
  return () => clearInterval(timer);
}

/**
 * Bytes with anything in them, to be overwritten. Small ones share one piece of memory, whose address lmdb has to ask
 * for only once.
 */
export function scratchBytes(length: number): Uint8Array {
  return Buffer.allocUnsafe(length);
}

/** Waits for a time that differs from one process to the next. */
export function shortPause(msMax: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * msMax));
}

export const removeFile = (path: string): void => rmSync(path, { force: true });
