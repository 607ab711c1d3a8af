import type { RegionId } from "@tidemark/core";
import type { Transport } from "@tidemark/transport";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import type { Frame, FrameCodec } from "./frame.ts";
import { decodeReply, type Reply } from "./reply.ts";
import { encodeRequest, NONCE_BYTES, type Request } from "./request.ts";
import { inboxSubject } from "./subject.ts";

/** How a region asks before its replication is open. */
export interface AskMemberOptions {
  readonly transport: Transport;
  readonly randomBytes: (count: number) => Uint8Array;
  /** For each question. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** One question to one member. @throws {@link ReplicationError} `MESSAGE_MALFORMED`; errors of the transport. */
export async function askMember(
  options: AskMemberOptions,
  codec: FrameCodec,
  region: RegionId,
  request: Request,
): Promise<{ readonly reply: Reply; readonly frame: Frame }> {
  const { transport, randomBytes, timeoutMs, signal } = options;
  const nonce = randomBytes(NONCE_BYTES);
  const bytes = await transport.request(
    inboxSubject(region),
    codec.seal("request", encodeRequest(nonce, request)),
    signal === undefined ? { timeoutMs } : { timeoutMs, signal },
  );
  const frame = codec.open(bytes);
  if (typeof frame === "string" || frame.kind !== "reply" || frame.region !== region) {
    const refusal = typeof frame === "string" ? frame : "source";
    throw malformed(region, refusal);
  }
  const { nonce: repeated, reply } = decodeReply(frame.body);
  if (!equalBytes(nonce, repeated)) throw malformed(region, "to another request");
  return { reply, frame };
}

/** What a member answered cannot be used. */
export function malformed(region: RegionId, why: string): ReplicationError {
  return new ReplicationError("MESSAGE_MALFORMED", `Cannot accept the reply of region ${region}: ${why}`);
}
