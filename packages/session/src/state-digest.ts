import { ByteWriter, compareBytes, HASH_CONTEXTS } from "@tidemark/core";
import type { Hasher } from "@tidemark/core";
import { FOLD_VERSION } from "./op-kinds.ts";

/** Slots that objects are spread over. */
export const STATE_SLOTS = 4096;

/** A part of the state with a digest of its own. */
export interface DigestObject {
  /** 1 session, 2 a user's hides. */
  readonly objectKind: number;
  readonly id: string;
  /** Writes the canonical bytes; an object that writes none is as good as absent. */
  writeCanonical(writer: ByteWriter): void;
}

interface SlotEntry {
  readonly id: Uint8Array;
  readonly kind: number;
  hash: Uint8Array | undefined;
}

const HASH_BYTES = 32;
const utf8 = new TextEncoder();

/**
 * The state digest, kept up to date at a cost in proportion to what changed.
 *
 * An object hashes as `tidemark 2026 state v1` over kind (u8), id and canonical bytes, each as u32-LE length and
 * bytes. Its slot is the first two bytes (little-endian) of `tidemark 2026 slot v1` over the id, modulo 4,096.
 * A slot hashes its objects' hashes in order of (id bytes, kind); an empty slot is left out. The digest hashes
 * fold version (u16), 32 zero bytes each for schema and policies, then number (u16) and hash of every slot,
 * ascending; all under the same context.
 */
export class StateDigest {
  readonly #hasher: Hasher;
  readonly #slots: Map<number, Map<string, SlotEntry>> = new Map();
  readonly #slotHashes: Map<number, Uint8Array> = new Map();
  readonly #touched: Set<DigestObject> = new Set();
  readonly #writer: ByteWriter = new ByteWriter(4096);

  constructor(hasher: Hasher) {
    this.#hasher = hasher;
  }

  /** An object changed, or is new. */
  touch(object: DigestObject): void {
    this.#touched.add(object);
  }

  /** 32 bytes. */
  digest(): Uint8Array {
    this.#catchUp();
    const writer = new ByteWriter(2 + 2 * HASH_BYTES + this.#slotHashes.size * (2 + HASH_BYTES));
    writer.u16(FOLD_VERSION);
    writer.raw(new Uint8Array(2 * HASH_BYTES));
    for (const slot of [...this.#slotHashes.keys()].sort((a, b) => a - b)) {
      writer.u16(slot);
      writer.raw(this.#slotHashes.get(slot) as Uint8Array);
    }
    return this.#hasher.digest(HASH_CONTEXTS.state, writer.view());
  }

  /** The hash of one slot; zeros while it is empty. */
  slotDigest(slot: number): Uint8Array {
    this.#catchUp();
    return this.#slotHashes.get(slot)?.slice() ?? new Uint8Array(HASH_BYTES);
  }

  #catchUp(): void {
    const slots = new Set<number>();
    for (const object of this.#touched) slots.add(this.#rehash(object));
    this.#touched.clear();
    for (const slot of slots) this.#rehashSlot(slot);
  }

  /** @returns The slot of the object. */
  #rehash(object: DigestObject): number {
    const id = utf8.encode(object.id);
    const slotHash = this.#hasher.digest(HASH_CONTEXTS.slot, id, 2);
    const slot = ((slotHash[0] as number) | ((slotHash[1] as number) << 8)) % STATE_SLOTS;
    const name = `${object.objectKind}${object.id}`;
    const writer = this.#writer.reset();
    writer.u32(1);
    writer.u8(object.objectKind);
    writer.u32(id.length);
    writer.raw(id);
    const lengthAt = writer.length;
    writer.u32(0);
    object.writeCanonical(writer);
    const end = writer.length;
    const length = end - lengthAt - 4;
    const entries = this.#slots.get(slot) ?? new Map<string, SlotEntry>();
    if (length === 0) {
      entries.delete(name);
    } else {
      writer.length = lengthAt;
      writer.u32(length);
      writer.length = end;
      const hash = this.#hasher.digest(HASH_CONTEXTS.state, writer.view());
      entries.set(name, { id, kind: object.objectKind, hash });
    }
    this.#slots.set(slot, entries);
    return slot;
  }

  #rehashSlot(slot: number): void {
    const entries = [...(this.#slots.get(slot)?.values() ?? [])];
    if (entries.length === 0) {
      this.#slotHashes.delete(slot);
      return;
    }
    entries.sort((a, b) => compareBytes(a.id, b.id) || a.kind - b.kind);
    const writer = new ByteWriter(entries.length * HASH_BYTES);
    for (const { hash } of entries) writer.raw(hash as Uint8Array);
    this.#slotHashes.set(slot, this.#hasher.digest(HASH_CONTEXTS.state, writer.view()));
  }
}
