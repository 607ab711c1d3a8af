import { SEGMENT_PIECES } from "./stream-log-entry.ts";

/** Claims, ends and cancellations of all streams of a session. */
export const REGISTER: string = "stream-log";

/** Where a writer's pieces are: others write elsewhere, so nobody pushes them out of what a journal keeps. */
export function pieceNamespace(stream: string, writer: string, number: number): string {
  return `${REGISTER}/${stream}/${writer}/${Math.floor(number / SEGMENT_PIECES)}`;
}

/** Where a writer says that it lives. */
export function renewalNamespace(stream: string, writer: string): string {
  return `${REGISTER}/${stream}/${writer}/alive`;
}

/** Makes one entry of what is appended twice: `what` is unique within the stream. */
export function streamOperationId(stream: string, what: string): string {
  return `${REGISTER}/${stream}/${what}`;
}
