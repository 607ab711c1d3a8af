import { TransportError } from "@tidemark/transport";

const SUBJECT = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$/;

/** @throws TransportError `INVALID_SUBJECT` unless it is one to eight tokens joined by dots. */
export function checkSubject(subject: string): void {
  if (!SUBJECT.test(subject)) {
    throw new TransportError("INVALID_SUBJECT", `Cannot use ${JSON.stringify(subject)}: a subject is 1 to 8 tokens of A-Z a-z 0-9 _ - joined by dots`);
  }
}
