import type { FrameSequence } from "@tidemark/transport";
import type { Part } from "./parts.ts";

/** A message in the stream, by the id it was published under. */
export interface Mark extends FrameSequence {
  readonly part: number;
  readonly parts: number;
}

/** The last message of a subject. */
export interface Tail {
  /** Its sequence in the stream, 0 if the stream holds none. */
  readonly seq: number;
  readonly mark?: Mark;
}

/** Below 0 if the first comes first: an epoch replaces all lower ones. */
export function compareSequences(left: FrameSequence, right: FrameSequence): number {
  return left.epoch - right.epoch || left.last - right.last;
}

/** The id of a message. The window of ids is the stream's, so that an id names the subject as well. */
export function messageIdOf(
  subject: string,
  { epoch, last }: FrameSequence,
  { index, count }: Pick<Part, "index" | "count">,
): string {
  return `${subject} ${epoch}-${last} ${index} ${count}`;
}

/** What {@link messageIdOf} made; `undefined` for anything else. */
export function markOf(id: string): Mark | undefined {
  const found = /^\S+ (\d+)-(\d+) (\d+) (\d+)$/.exec(id);
  if (found === null) return undefined;
  const [epoch, last, part, parts] = found.slice(1).map(Number);
  return { epoch: epoch!, last: last!, part: part!, parts: parts! };
}
