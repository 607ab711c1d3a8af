import { ByteReader, ByteWriter } from "@tidemark/core";

const NONCE_BYTES = 8;

/**
 * Whether a thread is there. Every change of its rows checks the register, so nothing is added to a thread that is
 * being deleted, and what was decided before a deletion does not count after it.
 *
 * - `live`: the rows of its life count.
 * - `deleting`: no rows count, and they are being removed; whoever meets it goes on with that.
 * - `deleted`: no rows are left. Kept, so that a change decided before the deletion cannot bring rows back.
 */
export type ThreadState = "live" | "deleting" | "deleted";

const STATES: readonly ThreadState[] = ["live", "deleting", "deleted"];

/** What a register says. */
export interface ThreadRegister {
  readonly state: ThreadState;
  /**
   * Which life of the thread it is about: zero for the first, then what names the deletion before. Rows of another life,
   * as another region may write that has not heard of the deletion, do not count.
   */
  readonly life: Uint8Array;
  /** Names this change of the register: no two are equal. */
  readonly nonce: Uint8Array;
}

/** The first life of every thread. */
export const FIRST_LIFE: Uint8Array = new Uint8Array(NONCE_BYTES);

/** The life that a thread has, or that begins if it is made now. */
export function lifeOf(register: ThreadRegister | undefined): Uint8Array {
  if (register === undefined) return FIRST_LIFE;
  return register.state === "live" ? register.life : register.nonce;
}

/** A register as it changes. */
export function nextRegister(
  register: ThreadRegister | undefined,
  state: ThreadState,
  random: (length: number) => Uint8Array,
): ThreadRegister {
  return { state, life: lifeOf(register), nonce: random(NONCE_BYTES) };
}

/** The body of a register: varint state, 8 bytes life, 8 bytes nonce. */
export function encodeRegister({ state, life, nonce }: ThreadRegister): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(STATES.indexOf(state));
  writer.raw(life);
  writer.raw(nonce);
  return writer.take();
}

/** Reads what {@link encodeRegister} wrote. @throws `CoreError` `DECODE_FAILED` */
export function decodeRegister(body: Uint8Array): ThreadRegister {
  const reader = new ByteReader(body);
  const state = STATES[reader.varint()] ?? reader.fail("A register has one of three states");
  const life = reader.view(NONCE_BYTES).slice();
  const nonce = reader.view(NONCE_BYTES).slice();
  reader.finish();
  return { state, life, nonce };
}
