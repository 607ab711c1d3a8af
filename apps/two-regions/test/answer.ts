/** What the process that writes an answer, and the test that kills it, have in common. */
export const ANSWER_SESSION = "trip";
export const ANSWER_STREAM = "answer-1";
export const ANSWER_TTL_MS = 300;

/** The options of the one region that both open, one after the other. */
export function answerRegion(dir: string) {
  return { name: "us-east", members: { version: 1, regions: { "us-east": 1 } }, bootstrap: true, dir };
}
