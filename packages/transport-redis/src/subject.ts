import { TransportError } from "@tidemark/transport";

const SUBJECT = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$/;
const SUBJECT_CHARS_MAX = 200;

/** @throws `INVALID_SUBJECT` unless it is one to eight tokens joined by dots, at most 200 characters. */
export function checkSubject(subject: string): void {
  if (subject.length <= SUBJECT_CHARS_MAX && SUBJECT.test(subject)) return;
  const shown = JSON.stringify(subject.slice(0, SUBJECT_CHARS_MAX));
  throw new TransportError(
    "INVALID_SUBJECT",
    `Cannot use ${shown}: a subject is 1 to 8 tokens of A-Z a-z 0-9 _ - joined by dots, at most ${SUBJECT_CHARS_MAX} characters`,
  );
}
