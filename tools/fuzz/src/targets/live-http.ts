import { LiveCursor, LiveError } from "@tidemark/live";
import { decodeItem, readSseEvents } from "@tidemark/live-http/client";
import { OPEN_CURSORS, sealWith } from "../../../../packages/live-http/src/cursor-seal.ts";
import { SessionRefusal } from "../../../../packages/live-http/src/session-refusal.ts";
import { readSessionRequest, readTurn } from "../../../../packages/live-http/src/session-request.ts";
import { TidemarkError } from "@tidemark/core";
import { bytesOf, type FuzzTarget } from "../target.ts";

const CURSOR = LiveCursor.of({ session: "trip:1", revision: 3, position: 9, incarnation: "a1" }).toString();
const SEAL = sealWith([new Uint8Array(32).fill(7)]);
const CHARACTERS_MAX = 2_048;
const BODY_BYTES_MAX = 256;

/** What clients send to a handler of sessions, and what servers send to a watch. */
export const LIVE_HTTP: readonly FuzzTarget[] = [
  {
    name: "live-http-events",
    seeds: () =>
      [
        `: alive\n\nid: ${CURSOR}\nevent: observation\ndata: {"session":"s","revision":0,"view":{"text":""}}\n\n`,
        `id: ${CURSOR}\ndata: {"session":"s","revision":1,"payload":{"kind":"turn_activity","turn":"t","activity":1}}\n\n`,
        `id: ${CURSOR}\r\nevent: gap\r\ndata: {"session":"s","reason":"trimmed","requested":"${CURSOR}","latest":"${CURSOR}",\r\ndata: "latestRevision":1,"missed":2,"observation":{"session":"s","revision":1,"view":null}}\r\n\r\n`,
        'event: failed\ndata: {"code":"UNAVAILABLE","message":"later"}\n\nretry: 5\nid\ndata\n\n',
      ].map(bytesOf),
    run: async (input) => {
      const body = new Response(input.slice()).body!;
      try {
        for await (const event of readSseEvents(body, { eventCharactersMax: CHARACTERS_MAX })) {
          if (event.data.length > 2 * CHARACTERS_MAX + 16_384)
            throw new Error("An event is beyond the limit");
          readItem(event);
        }
      } catch (error) {
        if (!(error instanceof TidemarkError)) throw error;
      }
    },
    heapPerByte: 512,
  },
  {
    // The address, the cursor of the header, and the body, a line each.
    name: "live-http-requests",
    seeds: () => [
      bytesOf(`/sessions/trip%3A1/events?after=${CURSOR}\n\n`),
      bytesOf(`/sessions/trip%3A1/events\n${CURSOR}\n`),
      bytesOf(`/sessions/trip%3A1/events\ntmls1:${"A".repeat(43)}:${CURSOR}\n`),
      bytesOf('/sessions/trip%3A1/stop\n\n{"turn":"t1"}'),
      bytesOf("/sessions/%f0%9f%8c%8a\n\n"),
    ],
    run: async (input) => {
      const [path = "", header = "", ...lines] = new TextDecoder().decode(input).split("\n");
      for (const method of ["GET", "POST"]) {
        const request = requestOf(method, path, header, lines.join("\n"));
        if (request === undefined) return;
        await expectRefusals(async () => {
          const { session, after } = readSessionRequest(request, "/sessions", CHARACTERS_MAX);
          if (session === "") throw new Error("A session has no name");
          if (after !== undefined) await expectRefusals(() => OPEN_CURSORS.open(after, session));
          if (after !== undefined && !after.startsWith("tmls1:"))
            await expectRefusals(() => SEAL.open(after, session));
          if (method === "POST" && (await readTurn(request, BODY_BYTES_MAX)) === "")
            throw new Error("A turn has no name");
        });
      }
    },
    heapPerByte: 512,
  },
];

function readItem(event: Parameters<typeof decodeItem>[0]): void {
  try {
    const item = decodeItem(event);
    if (item?.kind === "event" && item.event.cursor === "") throw new Error("An event has no cursor");
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
  }
}

async function expectRefusals(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof SessionRefusal || error instanceof LiveError)) throw error;
  }
}

/** What a platform lets through. */
function requestOf(method: string, path: string, header: string, body: string): Request | undefined {
  try {
    return new Request(`http://localhost${path}`, {
      method,
      headers: { "last-event-id": header, "content-type": "application/json" },
      ...(method === "POST" ? { body } : {}),
    });
  } catch {
    return undefined;
  }
}
