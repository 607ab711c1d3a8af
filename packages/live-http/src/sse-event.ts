/** One event of a stream of server-sent events. */
export interface SseEvent {
  /** Where a client that comes back goes on: it sends this as `Last-Event-ID`. No CR, LF or NUL. */
  readonly id?: string;
  /** What an `EventSource` listens for. Without it: `message`. No CR or LF. */
  readonly event?: string;
  /** May have lines; comes back with LF between them. */
  readonly data: string;
}

const LINE = /\r\n|\r|\n/;

/**
 * Formats one event as an `EventSource` reads it.
 *
 * Source: HTML Living Standard §9.2.6 (Interpreting an event stream).
 *
 * @throws RangeError if `id` or `event` has a character that would end the line or be ignored.
 *
 * @example
 * ```ts
 * assert.equal(formatSseEvent({ id: "7", data: "a\nb" }), "id: 7\ndata: a\ndata: b\n\n");
 * ```
 */
export function formatSseEvent({ id, event, data }: SseEvent): string {
  const lines: string[] = [];
  // An id with NUL is ignored by every client, which would then come back with the one before.
  if (id !== undefined) lines.push(`id: ${oneLine(id)}`);
  if (event !== undefined) lines.push(`event: ${oneLine(event)}`);
  for (const line of data.split(LINE)) lines.push(`data: ${line}`);
  return `${lines.join("\n")}\n\n`;
}

/** Formats what clients skip and proxies count as traffic. */
export function formatSseComment(text: string): string {
  return `: ${oneLine(text)}\n\n`;
}

/** Formats how long an `EventSource` is to wait before it comes back. */
export function formatSseRetry(ms: number): string {
  return `retry: ${Math.round(ms)}\n\n`;
}

function oneLine(text: string): string {
  if (/[\r\n\0]/.test(text)) throw new RangeError("A field of an event has no CR, LF or NUL");
  return text;
}
