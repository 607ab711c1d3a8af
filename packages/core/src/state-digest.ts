import { ByteWriter } from "./byte-writer.ts";
import { DigestSlot } from "./digest-slot.ts";
import { HASH_CONTEXTS, type Hasher } from "./hasher.ts";

/** Slots that objects are spread over. */
export const STATE_SLOTS = 4096;

/** A part of the state with a digest of its own. */
export interface DigestObject {
  /** 1 session, 2 a user's hides, 3 a session that was purged, 4 an entity of the ledger, 5 an erased user. */
  readonly objectKind: number;
  readonly id: string;
  /** Writes the canonical bytes; an object that writes none is as good as absent. */
  writeCanonical(writer: ByteWriter): void;
}

/** What the state is folded under, the same in every region that compares. */
export interface StateTerms {
  readonly foldVersion: number;
  /** The digest of the signal schema, 32 bytes; absent without one. */
  readonly schema?: Uint8Array;
}

const HASH_BYTES = 32;
const NO_SCHEMA = new Uint8Array(HASH_BYTES);
const utf8 = new TextEncoder();

/**
 * The state digest, kept up to date at a cost in proportion to what changed.
 *
 * An object hashes as `tidemark 2026 state v1` over kind (u8), id and canonical bytes, each as u32-LE length and
 * bytes. Its slot is the first two bytes (little-endian) of `tidemark 2026 slot v1` over the id, modulo 4,096.
 * A slot hashes its objects' hashes in order of (id bytes, kind); an empty slot is left out. The digest hashes
 * fold version (u16), the digest of the signal schema or 32 zero bytes, 32 zero bytes, then number (u16) and hash of
 * every slot, ascending; all under the same context.
 */
export class StateDigest {
  readonly #hasher: Hasher;
  readonly #terms: StateTerms;
  readonly #slots: Map<number, DigestSlot> = new Map();
  readonly #slotHashes: Map<number, Uint8Array> = new Map();
  readonly #touched: Set<DigestObject> = new Set();
  /** Slots with an object that was hashed, or lost, since the slot was. */
  readonly #lost: Set<number> = new Set();
  readonly #writer: ByteWriter = new ByteWriter(4096);

  constructor(hasher: Hasher, terms: StateTerms) {
    this.#hasher = hasher;
    this.#terms = terms;
  }

  /** An object changed, or is new. */
  touch(object: DigestObject): void {
    this.#touched.add(object);
  }

  /** Hashes an object now if it has changed, so that whoever holds it may let go of it. */
  settle(object: DigestObject): void {
    if (this.#touched.delete(object)) this.#lost.add(this.#rehash(object));
  }

  /** An object that writes nothing any more is let go of. */
  drop(object: DigestObject): void {
    this.#touched.delete(object);
    this.#lost.add(this.#rehash(object));
  }

  /** 32 bytes. */
  digest(): Uint8Array {
    this.#catchUp();
    const writer = new ByteWriter(2 + 2 * HASH_BYTES + this.#slotHashes.size * (2 + HASH_BYTES));
    const { foldVersion, schema = NO_SCHEMA } = this.#terms;
    writer.u16(foldVersion);
    writer.raw(schema);
    writer.raw(NO_SCHEMA);
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

  /** The objects of one slot with their hashes, in order: what two regions that differ compare. */
  objects(slot: number): { readonly kind: number; readonly id: string; readonly digest: Uint8Array }[] {
    this.#catchUp();
    return this.#slots.get(slot)?.entries() ?? [];
  }

  #catchUp(): void {
    const slots = new Set(this.#lost);
    this.#lost.clear();
    for (const object of this.#touched) slots.add(this.#rehash(object));
    this.#touched.clear();
    for (const slot of slots) this.#rehashSlot(slot);
  }

  /** @returns The slot of the object. */
  #rehash(object: DigestObject): number {
    const id = utf8.encode(object.id);
    const slotHash = this.#hasher.digest(HASH_CONTEXTS.slot, id, 2);
    const slot = ((slotHash[0] as number) | ((slotHash[1] as number) << 8)) % STATE_SLOTS;
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
    let hashes = this.#slots.get(slot);
    if (length === 0) {
      hashes?.delete(object.objectKind, object.id);
      return slot;
    }
    writer.length = lengthAt;
    writer.u32(length);
    writer.length = end;
    if (hashes === undefined) this.#slots.set(slot, (hashes = new DigestSlot()));
    hashes.set(object.objectKind, object.id, this.#hasher.digest(HASH_CONTEXTS.state, writer.view()));
    return slot;
  }

  #rehashSlot(slot: number): void {
    const hashes = this.#slots.get(slot);
    if (hashes === undefined || hashes.size === 0) {
      this.#slots.delete(slot);
      this.#slotHashes.delete(slot);
      return;
    }
    this.#slotHashes.set(slot, this.#hasher.digest(HASH_CONTEXTS.state, hashes.bytes));
  }
}
