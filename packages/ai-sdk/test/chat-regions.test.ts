import { DefaultChatTransport } from "ai";
import { expect, test } from "vitest";
import { eventually, openChatRegions, TestChat } from "./chat-bench.ts";

const QUESTION = { text: "When is high tide?" };
const BODY = JSON.stringify({
  id: "trip",
  messages: [{ id: "q", role: "user", parts: [{ type: "text", text: "When is high tide?" }] }],
  requestId: "r-1",
});

test("LIV-8 LIV-10 a page with the transport of the AI SDK is served, and resumed in the other region", async () => {
  const { us, fetch } = openChatRegions();
  const at = (name: string) => new DefaultChatTransport({ api: `https://${name}.test/api/chat`, fetch });
  const first = new TestChat(at("us"), "trip");
  const sending = first.sendMessage(QUESTION);
  await us.model.called();
  us.model.say("At no");
  await eventually(() => first.text === "At no");
  const page = new TestChat(at("eu"), "trip", structuredClone(first.messages));
  const resuming = page.resumeStream();
  await eventually(() => page.status === "streaming");
  us.model.say("on.");
  us.model.end();
  await Promise.all([sending, resuming]);
  for (const chat of [first, page]) {
    expect(chat.text).toBe("At noon.");
    expect(chat.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
  }
  expect(page.messages).toEqual(first.messages);
  expect(await at("eu").reconnectToStream({ chatId: "trip" })).toBeNull();
});

test("LIV-9 a stop in a region that has not heard of the answer reaches the model when the link is back", async () => {
  const { us, transport, journals } = openChatRegions();
  journals.cut("us", "eu");
  journals.cut("eu", "us");
  const shared = transport();
  const chat = new TestChat(shared, "trip");
  const sending = chat.sendMessage(QUESTION);
  await us.model.called();
  us.model.say("At no");
  await eventually(() => chat.text === "At no");
  us.link.down = true;
  await shared.stop("trip");
  expect(us.model.aborted).toBe(false);
  us.link.down = false;
  journals.heal("eu", "us");
  await sending;
  expect(us.model.aborted).toBe(true);
  expect(chat.data).toEqual([{ state: "cancelled" }]);
});

test("LIV-9 an answer that was stopped before it began is stopped, and no model is called", async () => {
  const { eu, us, fetch } = openChatRegions();
  await fetch("https://eu.test/api/chat/trip/stop?stream=r-1", { method: "POST" });
  const response = await fetch("https://us.test/api/chat", { method: "POST", body: BODY });
  expect(await response.text()).toContain('"state":"cancelled"');
  expect(us.model.calls + eu.model.calls).toBe(0);
});

test("LIV-9 a message that two regions took while they were apart has one answer, and the other is stopped", async () => {
  const { us, eu, fetch, journals } = openChatRegions();
  journals.cut("us", "eu");
  journals.cut("eu", "us");
  const post = (name: string) => fetch(`https://${name}.test/api/chat`, { method: "POST", body: BODY });
  const [first, second] = [await post("us"), await post("eu")];
  await us.model.called();
  await eu.model.called();
  us.model.say("noon");
  eu.model.say("midnight");
  const read = (response: Response): { text: string; done: Promise<void> } => {
    const seen = { text: "", done: Promise.resolve() };
    seen.done = (async () => {
      const decoder = new TextDecoder();
      for await (const bytes of response.body!) seen.text += decoder.decode(bytes);
    })();
    return seen;
  };
  const [here, there] = [read(first), read(second)];
  await eventually(() => here.text.includes("noon") && there.text.includes("midnight"));
  journals.heal("us", "eu");
  journals.heal("eu", "us");
  await there.done;
  // It is told, and is given nothing of the other text behind its own.
  expect(there.text).toContain("another one counts");
  expect(there.text).not.toContain("noon");
  await eventually(() => eu.model.aborted);
  expect(us.model.aborted).toBe(false);
  us.model.end();
  await here.done;
  const again = await fetch("https://eu.test/api/chat/trip/stream?stream=r-1");
  expect(await again.text()).toBe(here.text);
});
