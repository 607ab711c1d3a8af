import { expect, test, vi } from "vitest";
import { createChatHandlers, TidemarkChatTransport } from "../src/index.ts";
import { eventually, openChatRegions, TestChat } from "./chat-bench.ts";

const QUESTION = { text: "When is high tide?" };

test("LIV-8 an answer goes on over a lost connection, in the other region, and no chunk is given twice", async () => {
  const { us, eu, transport, requests } = openChatRegions();
  const chat = new TestChat(transport(), "trip");
  const sending = chat.sendMessage(QUESTION);
  await us.model.called();
  // The message is durable before the model is called.
  expect(us.saved).toMatchObject([[{ role: "user", parts: [QUESTION] }]]);
  us.model.say("At noon, ");
  await eventually(() => chat.text === "At noon, ");
  // The region goes away for the page; its producer goes on.
  us.link.down = true;
  us.link.drop();
  us.model.say("and again ");
  await eventually(() => chat.text === "At noon, and again ");
  us.link.down = false;
  eu.link.drop();
  us.model.say("at midnight.");
  us.model.end();
  await sending;
  expect(chat.text).toBe("At noon, and again at midnight.");
  expect(chat.status).toBe("ready");
  expect(chat.error).toBeUndefined();
  expect(chat.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
  expect(requests.filter((request) => request.startsWith("POST"))).toHaveLength(1);
  expect(requests).toContain("GET eu /api/chat/trip/stream");
  expect(us.model.calls + eu.model.calls).toBe(1);
});

test("LIV-8 a page that is loaded again in mid-sentence, in the other region, has all of the answer once", async () => {
  const { us, eu, transport } = openChatRegions();
  const before = new TestChat(transport(), "trip");
  void before.sendMessage(QUESTION);
  await us.model.called();
  us.model.say("At no");
  await eventually(() => before.text === "At no");
  const { messages } = before;
  us.link.drop();
  us.link.down = true;
  // The page has what was saved: the question, or also a part of the answer.
  for (const kept of [messages.slice(0, 1), messages]) {
    const after = new TestChat(transport(), "trip", structuredClone(kept));
    const resuming = after.resumeStream();
    await eventually(() => after.status === "streaming");
    await after.stop();
    await resuming;
  }
  const after = new TestChat(transport(), "trip", structuredClone(messages));
  const resuming = after.resumeStream();
  await eventually(() => after.status === "streaming");
  us.model.say("on.");
  us.model.end();
  await resuming;
  const ids = messages.map(({ id, role }) => [id, role]);
  expect(after.text).toBe("At noon.");
  expect(after.messages.map(({ id, role }) => [id, role])).toEqual(ids);
  expect(us.model.aborted).toBe(false);
  expect(eu.model.calls).toBe(0);
  // Now it is done: there is nothing to resume.
  expect(await transport().reconnectToStream({ chatId: "trip" })).toBeNull();
  // But for a page that had read its messages before the answer was saved.
  const late = new TestChat(transport({ replayFinished: true }), "trip", structuredClone(messages));
  await late.resumeStream();
  expect(late.text).toBe("At noon.");
  expect(late.messages.map(({ id, role }) => [id, role])).toEqual(ids);
});

test("LIV-9 a second offer to resume yields one replay", async () => {
  const { us, transport } = openChatRegions();
  const shared = transport();
  const sender = new TestChat(shared, "trip");
  void sender.sendMessage(QUESTION);
  await us.model.called();
  us.model.say("At no");
  await eventually(() => sender.text === "At no");
  // Who is being given the answer is not given it again.
  expect(await shared.reconnectToStream({ chatId: "trip" })).toBeNull();

  const page = new TestChat(transport(), "trip", structuredClone(sender.messages.slice(0, 1)));
  const resumes = [page.resumeStream(), page.resumeStream()];
  await eventually(() => page.text === "At no");
  us.model.say("on.");
  us.model.end();
  await Promise.all(resumes);
  expect(page.text).toBe("At noon.");
  expect(page.messages).toHaveLength(2);
  // Without the chat: the first of the two just ends.
  const again = transport();
  void new TestChat(transport(), "other").sendMessage(QUESTION);
  await us.model.called();
  us.model.say("x");
  const [first, second] = [
    await again.reconnectToStream({ chatId: "other" }),
    await again.reconnectToStream({ chatId: "other" }),
  ];
  us.model.end();
  const types = async (stream: ReadableStream<{ type: string }> | null): Promise<string[]> => {
    const seen: string[] = [];
    for await (const { type } of stream ?? []) seen.push(type);
    return seen;
  };
  expect((await types(first)).length).toBeLessThan(2);
  expect(await types(second)).toEqual(expect.arrayContaining(["start", "text-delta", "finish"]));
});

test("LIV-9 to stop reading is not to stop; a stop in any region stops the model", async () => {
  const { us, eu, transport, fetch } = openChatRegions();
  const chat = new TestChat(transport(), "trip");
  const sending = chat.sendMessage(QUESTION);
  await us.model.called();
  us.model.say("At no");
  await eventually(() => chat.text === "At no");
  // The page is closed, and the request of the chat aborted.
  await chat.stop();
  await sending;
  us.link.drop();
  const { messages } = chat;
  expect(us.model.aborted).toBe(false);

  const other = transport({ api: "https://eu.test/api/chat" });
  const page = new TestChat(other, "trip", structuredClone(messages));
  const resuming = page.resumeStream();
  await eventually(() => page.text === "At no");
  await other.stop("trip");
  await resuming;
  expect(us.model.aborted).toBe(true);
  expect(page.data).toEqual([{ state: "cancelled" }]);
  expect(page.status).toBe("ready");
  const stopped = await fetch("https://us.test/api/chat/trip/stop", { method: "POST" });
  expect(await stopped.json()).toMatchObject({ state: "cancelled" });
  expect((await fetch("https://us.test/api/chat/none/stop", { method: "POST" })).status).toBe(204);
  expect(eu.model.calls).toBe(0);
});

test("LIV-9 a producer that is gone is shown, and the spinner ends", async () => {
  const { us, transport, journals } = openChatRegions({}, { ttlMs: 300 });
  const before = new TestChat(transport(), "trip");
  void before.sendMessage(QUESTION);
  await us.model.called();
  us.model.say("At no");
  await eventually(() => before.text === "At no");
  // The process of the producer ends: no entry of it reaches anybody any more.
  us.link.down = true;
  journals.cut("us", "eu");
  us.link.drop();
  const page = new TestChat(transport(), "trip", structuredClone(before.messages.slice(0, 1)));
  await page.resumeStream();
  expect(page.text).toBe("At no");
  expect(page.data).toEqual([{ state: "orphaned" }]);
  expect(page.status).toBe("error");
  expect(page.error?.message).toBe("The answer was interrupted.");
  await eventually(() => before.status === "error");
  expect(before.text).toBe("At no");
});

test("createChatHandlers() gives an answer an id that stays: its own, or that of the message that it goes on with", async () => {
  const { fetch } = openChatRegions({ respond: () => ReadableStream.from([{ type: "start" }] as const) });
  const question = { id: "q", role: "user", parts: [] };
  for (const [requestId, messages, expected] of [
    ["r-1", [question], "r-1"],
    ["r-2", [question, { id: "a", role: "assistant", parts: [] }], "a"],
  ] as const) {
    const body = JSON.stringify({ id: "trip", messages, requestId });
    const response = await fetch("https://us.test/api/chat", { method: "POST", body });
    expect(await response.text()).toContain(`data: {"type":"start","messageId":"${expected}"}\n\n`);
  }
});

test("createChatHandlers() answers also when what should log a failure fails", async () => {
  const { fetch } = openChatRegions({
    authorize: () => Promise.reject(new Error("no database")),
    onError() {
      throw new Error("no log");
    },
  });
  const response = await fetch("https://us.test/api/chat/trip/stream");
  expect(response.status).toBe(500);
  expect(await response.json()).toEqual({ code: "INTERNAL", message: "An error occurred." });
});

test("LIV-9 what the model fails with ends the answer, with what it may say", async () => {
  const { us, transport } = openChatRegions({
    respond: () => Promise.reject(new Error("no key")),
    onError: () => "Try later",
  });
  const chat = new TestChat(transport(), "trip");
  await chat.sendMessage(QUESTION);
  expect(chat.error?.message).toBe("Try later");
  expect(chat.data).toEqual([{ state: "error" }]);
  expect(us.saved).toHaveLength(1);
});

test("createChatHandlers() calls no model for a message that was not saved, and one for a message that came twice", async () => {
  const saveMessages = vi.fn<() => Promise<void>>().mockRejectedValueOnce(new Error("disk full"));
  const { us, transport, fetch } = openChatRegions({ saveMessages });
  const chat = new TestChat(transport({ attemptsMax: 1 }), "trip");
  await chat.sendMessage(QUESTION);
  expect(chat.error?.message).toContain("CHAT_NOT_SAVED");
  expect(us.model.calls).toBe(0);

  saveMessages.mockResolvedValue(undefined);
  const body = JSON.stringify({ id: "trip", messages: chat.messages, requestId: "r-1" });
  const [first, second] = await Promise.all(
    [1, 2].map(() => fetch("https://us.test/api/chat", { method: "POST", body })),
  );
  await us.model.called();
  us.model.say("noon");
  us.model.end();
  const [one, two] = [await first!.text(), await second!.text()];
  expect(one).toBe(two);
  expect(one).toContain('"noon"');
  expect(us.model.calls).toBe(1);
});

test("createChatHandlers() serves the transport of the AI SDK itself, with ids and a heartbeat", async () => {
  const { us, fetch } = openChatRegions({ heartbeatMs: 20 });
  const body = JSON.stringify({
    id: "trip",
    messages: [{ id: "1", role: "user", parts: [{ type: "text", text: "hi" }] }],
  });
  const response = await fetch("https://us.test/api/chat", { method: "POST", body });
  expect(response.headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
  await us.model.called();
  us.model.say("x");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n:\n")) text += (await reader.read()).value ?? "";
  expect(text).toMatch(/^id: tms1:\d+:[0-9a-f]+:[\w-]+\ndata: \{"type":"start","messageId":"[\w-]+"\}\n\n/);
  us.model.end();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
  }
  expect(text).toMatch(/data: \[DONE\]\n\n$/);
  // EventSource comes back with the id of the last event, and is told that this was all.
  const id = [...text.matchAll(/^id: (.*)$/gm)].at(-1)![1]!;
  const done = await fetch("https://eu.test/api/chat/trip/stream", { headers: { "last-event-id": id } });
  expect(done.status).toBe(204);
  const earlier = [...text.matchAll(/^id: (.*)$/gm)].at(0)![1]!;
  const rest = await fetch("https://eu.test/api/chat/trip/stream", { headers: { "last-event-id": earlier } });
  expect((await rest.text()).replaceAll(/^:\n\n/gm, "")).toBe(
    text.slice(text.indexOf("\n\n") + 2).replaceAll(/^:\n\n/gm, ""),
  );
});

test.each([
  ["no JSON", "POST", "", "{", 400, "CHAT_REQUEST_INVALID"],
  ["no object", "POST", "", "[]", 400, "CHAT_REQUEST_INVALID"],
  ["no chat", "POST", "", '{"id":"","messages":[]}', 400, "CHAT_REQUEST_INVALID"],
  ["a long id", "POST", "", `{"id":"${"x".repeat(129)}","messages":[]}`, 400, "CHAT_REQUEST_INVALID"],
  ["no message", "POST", "", '{"id":"a","messages":[{}]}', 400, "CHAT_REQUEST_INVALID"],
  ["no trigger", "POST", "", '{"id":"a","messages":[],"trigger":"x"}', 400, "CHAT_REQUEST_INVALID"],
  ["a bad message id", "POST", "", '{"id":"a","messages":[],"messageId":1}', 400, "CHAT_REQUEST_INVALID"],
  ["a bad request id", "POST", "", '{"id":"a","messages":[],"requestId":"a/b"}', 400, "CHAT_REQUEST_INVALID"],
  ["too much", "POST", "", `{"id":"a","x":"${"x".repeat(2_000)}"}`, 413, "CHAT_BODY_TOO_LARGE"],
  ["another method", "PUT", "", "{}", 404, "CHAT_UNKNOWN_PATH"],
  ["no path", "GET", "", undefined, 404, "CHAT_UNKNOWN_PATH"],
  ["a broken path", "GET", "/%/stream", undefined, 400, "CHAT_REQUEST_INVALID"],
  ["no offset", "GET", "/trip/stream?offset=5", undefined, 409, "CHAT_OFFSET_INVALID"],
  ["a long stream", "GET", `/trip/stream?stream=${"x".repeat(81)}`, undefined, 400, "CHAT_REQUEST_INVALID"],
  ["a chat without an answer", "GET", "/trip/stream", undefined, 204, undefined],
])("createChatHandlers() answers %s", async (_what, method, path, body, status, code) => {
  const { fetch } = openChatRegions({ bodyBytesMax: 1_000 });
  const response = await fetch(`https://us.test/api/chat${path}`, {
    method,
    ...(body === undefined ? {} : { body }),
  });
  expect(response.status).toBe(status);
  if (code !== undefined) expect(await response.json()).toMatchObject({ code });
});

test("createChatHandlers() asks who may do what, and lets nobody in unless it was told to", async () => {
  const asked: unknown[] = [];
  const { fetch, us } = openChatRegions({
    authorize(request, access) {
      asked.push(access);
      const user = request.headers.get("user");
      return user === null ? new Response("log in", { status: 401 }) : user === "ada";
    },
  });
  const body = JSON.stringify({ id: "trip", messages: [] });
  const url = "https://us.test/api/chat";
  for (const [input, init] of [
    [url, { method: "POST", body }],
    [`${url}/trip/stream`, {}],
    [`${url}/trip/stop`, { method: "POST" }],
  ] as const) {
    expect((await fetch(input, init)).status).toBe(401);
    const refused = await fetch(input, { ...init, headers: { user: "bob" } });
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ code: "CHAT_FORBIDDEN" });
  }
  expect(asked).toEqual(
    ["send", "resume", "stop"].flatMap((action) => [1, 2].map(() => ({ chatId: "trip", action }))),
  );
  expect(us.saved).toEqual([]);
  expect((await fetch(`${url}/trip/stream`, { headers: { user: "ada" } })).status).toBe(204);
  const options = { streams: us.streams, respond: () => new ReadableStream(), saveMessages: null };
  expect(() => createChatHandlers(options)).toThrow(TypeError);
  expect(() => createChatHandlers({ ...options, development: true, heartbeatMs: 10_001 })).toThrow(
    RangeError,
  );
});

test("TidemarkChatTransport gives up after so many attempts, and at once when it is refused", async () => {
  const { us, eu, transport, requests } = openChatRegions();
  us.link.down = eu.link.down = true;
  const chat = new TestChat(transport({ attemptsMax: 3 }), "trip");
  await chat.sendMessage(QUESTION);
  expect(chat.error).toMatchObject({ code: "CHAT_UNREACHABLE", retryable: true });
  expect(requests.map((request) => request.split(" ")[1])).toEqual(["us", "eu", "us"]);
  const refusing = new TidemarkChatTransport({ fetch: async () => Response.json({}, { status: 403 }) });
  await expect(refusing.reconnectToStream({ chatId: "trip" })).rejects.toMatchObject({
    code: "CHAT_REFUSED",
    status: 403,
  });
  await expect(refusing.stop("..")).rejects.toMatchObject({ code: "CHAT_REQUEST_INVALID" });
  expect(() => new TidemarkChatTransport({ api: [] })).toThrow(RangeError);
});

test("TidemarkChatTransport sends what it was told to, and makes a silent connection again", async () => {
  const { us, fetch, transport } = openChatRegions();
  let requests = 0;
  const seen: Request[] = [];
  const chat = new TestChat(
    transport({
      api: "https://us.test/api/chat?v=1",
      headers: () => ({ token: "t" }),
      body: { model: "m" },
      credentials: "include",
      silenceMs: 50,
      fetch: async (input, init) => {
        seen.push(new Request(input, init));
        const response = await fetch(input, init);
        requests += 1;
        // The first connection says nothing more, and is not closed.
        return requests === 1 ? new Response(new ReadableStream(), response) : response;
      },
    }),
    "trip",
  );
  const sending = chat.sendMessage(QUESTION, { headers: { more: "h" }, body: { extra: 1 } });
  await us.model.called();
  us.model.say("noon");
  us.model.end();
  await sending;
  expect(chat.text).toBe("noon");
  expect(await seen[0]!.json()).toMatchObject({
    id: "trip",
    model: "m",
    extra: 1,
    trigger: "submit-message",
  });
  expect(seen[0]!.headers.get("token")).toBe("t");
  expect(seen[0]!.headers.get("more")).toBe("h");
  expect(seen[0]!.credentials).toBe("include");
  expect(seen[1]!.url).toMatch(/^https:\/\/us\.test\/api\/chat\/trip\/stream\?stream=[\w-]+&v=1$/);
  expect(seen[1]!.headers.get("token")).toBe("t");
});
