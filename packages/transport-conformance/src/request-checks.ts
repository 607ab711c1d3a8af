import type { RequestHandler, Transport, TransportErrorCode } from "@tidemark/transport";
import { bytes, expectBytes, expectCode, expectThat, sameBytes, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, send } from "./reader.ts";

/** What a request that nobody answers may come to: a medium need not know that nobody is there. */
const UNANSWERED: readonly TransportErrorCode[] = ["NO_RESPONDER", "REQUEST_TIMEOUT"];
/** Long enough for a medium to say that nobody answers, short enough to wait for in a test. */
const UNANSWERED_MS = 50;

/** Each peer asks the other, and itself. */
export async function answersBothDirections(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  await serve(context, left, "inbox.1", async (frame) => bytes(`left heard ${frame.length}`));
  await serve(context, right, "inbox.2", async (frame) => bytes(`right heard ${frame.length}`));
  for (const asker of [left, right]) {
    expectBytes(await ask(context, asker, "inbox.1", "abc"), bytes("left heard 3"), "the answer of left");
    expectBytes(await ask(context, asker, "inbox.2", "ab"), bytes("right heard 2"), "the answer of right");
  }
}

/** 50 requests at once, answered in the opposite order: each gets its own answer. */
export async function concurrentRequestsKeepApart(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const waiting = new Map<string, () => void>();
  let all = false;
  await serve(context, right, "inbox.2", (frame) => {
    return new Promise((resolve) => {
      const text = new TextDecoder().decode(frame);
      const earlier = waiting.get(text);
      // A medium may deliver a request twice: both calls answer.
      waiting.set(text, () => {
        earlier?.();
        resolve(frame);
      });
      all ||= waiting.size === 50;
      if (all) for (const answer of [...waiting.values()].reverse()) answer();
    });
  });
  const asking = Array.from({ length: 50 }, (_, index) => ask(context, left, "inbox.2", `request ${index}`));
  for (const [index, answer] of (await Promise.all(asking)).entries()) {
    expectBytes(answer, bytes(`request ${index}`), `the answer to request ${index}`);
  }
}

/** A handler that throws answers nothing, its error stays where it is, and the next request is served. */
export async function aThrowingHandlerAnswersNothing(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  await serve(context, right, "inbox.2", async (frame) => {
    if (frame.length === 3) throw new Error("a secret of the other process");
    return frame;
  });
  await serve(context, right, "inbox.3", () => {
    throw new Error("not even a promise");
  });
  for (const subject of ["inbox.2", "inbox.3"]) {
    const asking = (): Promise<Uint8Array> =>
      left.request(subject, bytes("bad"), { timeoutMs: UNANSWERED_MS });
    await expectCode(deadlineMs, UNANSWERED, asking, "a handler that throws");
  }
  expectBytes(await ask(context, left, "inbox.2", "good"), bytes("good"), "the request after a failed one");
}

/** A handler that does not answer in time is `REQUEST_TIMEOUT`. */
export async function aSlowHandlerTimesOut(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  await serve(context, right, "inbox.2", () => new Promise(() => undefined));
  const asking = (): Promise<Uint8Array> => left.request("inbox.2", bytes("?"), { timeoutMs: UNANSWERED_MS });
  await expectCode(deadlineMs, "REQUEST_TIMEOUT", asking, "a handler that hangs");
}

/** A subject nobody serves is `NO_RESPONDER`, or `REQUEST_TIMEOUT` where the medium cannot tell. */
export async function nobodyAnswers(context: TransportCheckContext): Promise<void> {
  const { left, deadlineMs } = context;
  const asking = (): Promise<Uint8Array> => left.request("inbox.9", bytes("?"), { timeoutMs: UNANSWERED_MS });
  await expectCode(deadlineMs, UNANSWERED, asking, "a subject nobody serves");
}

/** A subject takes one handler; the first one stays. */
export async function refusesASecondHandler(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  await serve(context, right, "inbox.2", async () => bytes("first"));
  const again = (): Promise<unknown> => right.serve("inbox.2", async () => bytes("second"));
  await expectCode(deadlineMs, "SUBJECT_IN_USE", again, "a second handler");
  expectBytes(await ask(context, left, "inbox.2", "?"), bytes("first"), "after a refused second handler");
}

/** A closed service answers no more, closing twice is once, and the subject is free. */
export async function aClosedServiceIsGone(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  let calls = 0;
  const service = await within(
    deadlineMs,
    right.serve("inbox.2", async () => Uint8Array.of(++calls)),
    "serve()",
  );
  await ask(context, left, "inbox.2", "?");
  await within(deadlineMs, service.close(), "close()");
  await within(deadlineMs, service.close(), "close() again");
  const asking = (): Promise<Uint8Array> => left.request("inbox.2", bytes("?"), { timeoutMs: UNANSWERED_MS });
  await expectCode(deadlineMs, UNANSWERED, asking, "a service that was closed");
  expectThat(calls === 1, "the handler of a closed service was called");
  await serve(context, right, "inbox.2", async () => bytes("new"));
  await within(deadlineMs, service.close(), "close() of a service whose subject was served again");
  expectBytes(await ask(context, left, "inbox.2", "?"), bytes("new"), "the handler that came after");
}

/** Near misses of a served subject reach no handler. */
export async function requestsKeepToTheirSubject(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const calls: string[] = [];
  await serve(context, right, "inbox.1", async () => Uint8Array.of(calls.push("inbox.1")));
  for (const subject of ["inbox.10", "inbox", "inbox.1.0", "Inbox.1"]) {
    const asking = (): Promise<Uint8Array> => left.request(subject, bytes("?"), { timeoutMs: UNANSWERED_MS });
    await expectCode(deadlineMs, UNANSWERED, asking, `a request to ${subject}`);
    expectThat(calls.length === 0, `a request to ${subject} reached the handler of inbox.1`);
  }
}

/** Published frames reach no handler, and requests no subscription, of the same subject. */
export async function requestsAndFramesKeepApart(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const handled: Uint8Array[] = [];
  await serve(context, right, "inbox.2", async (frame) => {
    handled.push(frame);
    return frame;
  });
  const reader = await read(context, right, "inbox.2");
  await ask(context, left, "inbox.2", "a request");
  await send(context, left, "inbox.2", bytes("a frame"));
  const strays = await reader.until(bytes("a frame"), "the subscription");
  expectThat(strays.length === 0, "a subscription heard a request");
  await ask(context, left, "inbox.2", "another request");
  expectThat(
    !handled.some((frame) => sameBytes(frame, bytes("a frame"))),
    "a handler was given a published frame",
  );
}

/** The asker may write to its buffer at once, and the handler to the one it answered with. */
export async function copiesRequestsAndAnswers(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const shared = bytes("the answer");
  let asked = new Uint8Array(0);
  await serve(context, right, "inbox.2", async (frame) => {
    asked = new Uint8Array(frame);
    frame.fill(0);
    return shared;
  });
  const buffer = bytes("the question");
  const asking = left.request("inbox.2", buffer, { timeoutMs: deadlineMs });
  buffer.fill(1);
  const answer = await within(deadlineMs, asking, "request()");
  expectBytes(asked, bytes("the question"), "the request after its asker wrote to the buffer");
  expectBytes(answer, bytes("the answer"), "the answer");
  answer.fill(2);
  expectBytes(shared, bytes("the answer"), "the handler's buffer after the asker wrote to its answer");
  expectBytes(
    buffer,
    new Uint8Array(buffer.length).fill(1),
    "the asker's buffer after the handler wrote to its frame",
  );
}

async function serve(
  context: TransportCheckContext,
  transport: Transport,
  subject: string,
  handler: RequestHandler,
): Promise<void> {
  await within(context.deadlineMs, transport.serve(subject, handler), `serve(${subject})`);
}

function ask(
  { deadlineMs }: TransportCheckContext,
  transport: Transport,
  subject: string,
  text: string,
): Promise<Uint8Array> {
  const asking = transport.request(subject, bytes(text), { timeoutMs: deadlineMs });
  return within(deadlineMs, asking, `request(${subject})`);
}
