import { ByteReader, ByteWriter } from "@tidemark/core";

/**
 * Whether a thread is there. Every change of its rows checks the register, so nothing is added to a thread that is
 * being deleted, and what was decided before a deletion does not count after it.
 *
 * - `live`: its rows count.
 * - `deleting`: its rows do not count and are being removed; whoever meets it goes on with that.
 * - `deleted`: no rows are left. Kept, so that a change decided before the deletion cannot bring rows back.
 */
export type ThreadState = "live" | "deleting" | "deleted";

const STATES: readonly ThreadState[] = ["live", "deleting", "deleted"];

/** The body of a register: state, then bytes that make it another one than any before. */
export function encodeRegister(state: ThreadState, nonce: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(STATES.indexOf(state));
  writer.raw(nonce);
  return writer.take();
}

/** The state in a register. @throws `CoreError` `DECODE_FAILED` */
export function decodeRegister(body: Uint8Array): ThreadState {
  const reader = new ByteReader(body);
  return STATES[reader.varint()] ?? reader.fail("A register has one of three states");
}
