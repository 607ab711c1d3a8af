import { Assembler } from "../../../../packages/transport-nats/src/parts.ts";
import { checkSubject as checkNatsSubject } from "../../../../packages/transport-nats/src/names.ts";
import { decodeRange, decodeRead } from "../../../../packages/redis-connection/src/entries.ts";
import { formatEntryId, parseEntryId } from "../../../../packages/redis-connection/src/entry-id.ts";
import { checkSubject as checkRedisSubject } from "../../../../packages/transport-redis/src/subject.ts";
import { mutateJson } from "../json.ts";
import { bytesOf, type FuzzTarget } from "../target.ts";
import { textTarget } from "../text-target.ts";

const FRAME_BYTES_MAX = 2048;

/** What brokers hand over. */
export const TRANSPORTS: readonly FuzzTarget[] = [
  textTarget({
    name: "redis-entry-id",
    seeds: ["0-0", "1790000000-42", "18446744073709551615-18446744073709551615"],
    parse: parseEntryId,
    format: formatEntryId,
  }),
  {
    name: "redis-replies",
    seeds: () => [
      bytesOf(JSON.stringify([["key", [["1-1", ["f", "value"]]]]])),
      bytesOf(JSON.stringify({ key: [["1-1", ["f", "value", "g", "other"]]] })),
      bytesOf(JSON.stringify(["key", [["1-1", []]], "other", null])),
    ],
    mutate: mutateJson,
    run: (input) => {
      const reply = jsonOf(input);
      for (const entries of [...decodeRead(reply).values(), decodeRange(reply)]) {
        for (const { id } of entries) formatEntryId(id);
      }
    },
    heapPerByte: 512,
  },
  {
    name: "nats-parts",
    // Each message: the length of its header and of its data, then both.
    seeds: () => [
      messages(["", "whole"]),
      messages(["a 0 2", "one"], ["a 1 2", "two"]),
      messages(["a 0 3", "one"], ["b 0 2", "x"], ["a 1 3", "two"], ["b 1 2", "y"], ["a 2 3", "three"]),
    ],
    run: (input) => {
      const assembler = new Assembler(FRAME_BYTES_MAX);
      let bytesIn = 0;
      for (const { header, data } of messagesIn(input)) {
        bytesIn += data.length;
        const message = { data, headers: { get: () => header } } as unknown as Parameters<
          Assembler["add"]
        >[0];
        const frame = assembler.add(message);
        if (frame === undefined) continue;
        if (frame.length > Math.min(FRAME_BYTES_MAX, bytesIn))
          throw new Error(`A frame of ${frame.length} bytes came out`);
        if (frame.length > 0 && frame.buffer === data.buffer)
          throw new Error("A frame is a view of what arrived");
      }
    },
  },
  {
    name: "transport-subjects",
    seeds: () => ["sessions.us-east.0", "ack.eu-west", "in.1"].map(bytesOf),
    bytesMax: 256,
    run: (input) => {
      for (const check of [checkNatsSubject, checkRedisSubject]) {
        try {
          check(new TextDecoder().decode(input));
        } catch (error) {
          if (
            !(error instanceof RangeError || error instanceof TypeError) &&
            typeof (error as { code?: unknown }).code !== "string"
          )
            throw error;
        }
      }
    },
  },
];

/** JSON, with text for bytes as a client gives it. */
function jsonOf(input: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(input), (_, value: unknown) =>
      typeof value === "string" && value.startsWith("v") ? bytesOf(value) : value,
    );
  } catch {
    return input;
  }
}

function messages(...list: readonly (readonly [header: string, data: string])[]): Uint8Array {
  return Buffer.concat(
    list.map(([header, data]) =>
      Buffer.concat([Uint8Array.of(header.length, data.length), bytesOf(header), bytesOf(data)]),
    ),
  );
}

function messagesIn(input: Uint8Array): { readonly header: string; readonly data: Uint8Array }[] {
  const found: { header: string; data: Uint8Array }[] = [];
  for (let at = 0; at + 2 <= input.length;) {
    const [headerBytes, dataBytes] = [input[at] as number, input[at + 1] as number];
    const from = at + 2;
    at = from + headerBytes + dataBytes;
    const header = new TextDecoder().decode(input.subarray(from, from + headerBytes));
    found.push({ header, data: input.subarray(from + headerBytes, at) });
  }
  return found;
}
