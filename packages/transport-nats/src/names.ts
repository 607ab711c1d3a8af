import { TransportError } from "@tidemark/transport";

const SUBJECT = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$/;
const SUBJECT_CHARS_MAX = 200;
const PREFIX = /^[A-Za-z0-9_-]{1,32}$/;
/** Of `<channel>.<region>.<shard>`: what has fewer is never kept in a stream. */
const STORED_TOKENS_MIN = 3;

/** @throws `INVALID_SUBJECT` unless it is one to eight tokens joined by dots, at most 200 characters. */
export function checkSubject(subject: string): void {
  if (subject.length <= SUBJECT_CHARS_MAX && SUBJECT.test(subject)) return;
  const shown = JSON.stringify(subject.slice(0, SUBJECT_CHARS_MAX));
  throw new TransportError(
    "INVALID_SUBJECT",
    `Cannot use ${shown}: a subject is 1 to 8 tokens of A-Z a-z 0-9 _ - joined by dots, at most ${SUBJECT_CHARS_MAX} characters`,
  );
}

/**
 * What frames, live frames, requests and streams are called on the broker.
 *
 * `+` is in no token of a subject, so that a name with it in between is taken apart in one way only:
 * `a_b.c` and `a.b_c` have streams of their own.
 */
export class Names {
  readonly prefix: string;

  /** @throws RangeError unless the prefix is one token: two transports whose prefixes differ never hear each other. */
  constructor(prefix: string) {
    if (!PREFIX.test(prefix)) {
      throw new RangeError(`prefix must be 1 to 32 of A-Z a-z 0-9 _ -: ${JSON.stringify(prefix)}`);
    }
    this.prefix = prefix;
  }

  /** Where numbered frames of a subject are kept; `undefined` if they are not. */
  streamOf(subject: string): string | undefined {
    const tokens = subject.split(".");
    return tokens.length < STORED_TOKENS_MIN ? undefined : `${this.prefix}+${tokens[0]}+${tokens[1]}`;
  }

  /** What a stream listens to. */
  subjectsOf(stream: string): string[] {
    return [`${stream.replaceAll("+", ".")}.>`];
  }

  /** Numbered frames, kept in a stream. */
  stored(subject: string): string {
    return `${this.prefix}.${subject}`;
  }

  /** Frames without a number: core NATS. */
  live(subject: string): string {
    return `${this.prefix}.+live.${subject}`;
  }

  /** Requests: core NATS. */
  asked(subject: string): string {
    return `${this.prefix}.+ask.${subject}`;
  }
}
