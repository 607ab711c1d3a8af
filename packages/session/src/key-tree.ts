import { type ByteReader, type ByteWriter, type Hasher, HASH_CONTEXTS, preimage } from "@tidemark/core";

/** Bytes of a node's secret. */
export const NODE_BYTES = 16;
/** Levels below the root: a leaf is named by as many bits. */
export const TREE_DEPTH = 64;
/** Nodes a tree may hold: about 100,000 users erased. */
export const TREE_NODES_MAX = 8_388_608;

const TAG_GONE = 0;
const TAG_SECRET = 1;
const TAG_INNER = 2;
/** A child that was never split off: its secret comes from its parent's. */
const GONE = -1;

/**
 * Secrets for all leaves of a binary tree from one root, any one of which can be destroyed: a leaf's secret follows from
 * that of any node above it, and a leaf is destroyed by keeping, instead of the nodes above it, the nodes beside its
 * path. What was destroyed follows from nothing that is left.
 *
 * Costs nothing for a leaf that is only used, and at most 64 secrets of 16 bytes for one that is destroyed.
 *
 * Source: Goldreich, Goldwasser, Micali, "How to Construct Random Functions", JACM 1986; punctured as in Kiayias et al.,
 * "Delegatable Pseudorandom Functions", CCS 2013.
 */
export class KeyTree {
  readonly #hasher: Hasher;
  /** Two a node: the place of a child, 0 while the node holds its secret, or {@link GONE}. */
  #children: Int32Array<ArrayBuffer> = new Int32Array(2 * 16);
  #secrets: Uint8Array<ArrayBuffer> = new Uint8Array(NODE_BYTES * 16);
  #count: number = 0;

  /** @param root - 16 random bytes; copied. Without it the tree is to be read. */
  constructor(hasher: Hasher, root?: Uint8Array) {
    this.#hasher = hasher;
    if (root === undefined) return;
    if (root.length !== NODE_BYTES) throw new RangeError(`A root has 16 bytes: ${root.length}`);
    this.#secrets.set(root, this.#add() * NODE_BYTES);
  }

  /** Nodes held. */
  get size(): number {
    return this.#count;
  }

  /**
   * The secret of a leaf, or `undefined` once it was destroyed.
   *
   * @param path - At least 8 bytes, of which the first 64 bits count, the highest of each byte first.
   */
  leaf(path: Uint8Array): Uint8Array | undefined {
    let node = 0;
    let depth = 0;
    for (; this.#children[node * 2] !== 0 || this.#children[node * 2 + 1] !== 0; depth++) {
      const child = this.#children[node * 2 + bit(path, depth)] as number;
      if (child === GONE) return undefined;
      node = child;
    }
    let secret: Uint8Array = this.#secretOf(node).slice();
    for (; depth < TREE_DEPTH; depth++) secret = this.#split(secret, bit(path, depth));
    return secret;
  }

  /** Destroys a leaf; returns whether it was there. */
  destroy(path: Uint8Array): boolean {
    let node = 0;
    for (let depth = 0; depth < TREE_DEPTH; depth++) {
      const side = bit(path, depth);
      if (this.#children[node * 2] === 0 && this.#children[node * 2 + 1] === 0) this.#expand(node);
      const child = this.#children[node * 2 + side] as number;
      if (child === GONE) return false;
      if (depth === TREE_DEPTH - 1) {
        this.#secretOf(child).fill(0);
        this.#children[node * 2 + side] = GONE;
        return true;
      }
      node = child;
    }
    return false;
  }

  /** Appends the tree from its root down: a node is u8 0 (gone), u8 1 and its secret 16, or u8 2 and its two children. */
  encode(writer: ByteWriter): void {
    const waiting = [0];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (node === GONE) {
        writer.u8(TAG_GONE);
        continue;
      }
      const [left, right] = [this.#children[node * 2] as number, this.#children[node * 2 + 1] as number];
      if (left === 0 && right === 0) {
        writer.u8(TAG_SECRET);
        writer.raw(this.#secretOf(node));
      } else {
        writer.u8(TAG_INNER);
        waiting.push(right, left);
      }
    }
  }

  /** Reads what {@link KeyTree.encode} wrote. @throws {@link CoreError} `DECODE_FAILED`. */
  static decode(reader: ByteReader, hasher: Hasher): KeyTree {
    const tree = new KeyTree(hasher);
    const waiting: { parent: number; side: number; depth: number }[] = [{ parent: GONE, side: 0, depth: 0 }];
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      const { parent, side, depth } = place;
      const at = reader.offset;
      const tag = reader.u8();
      if (tag > TAG_INNER || (tag === TAG_INNER && depth === TREE_DEPTH) || (tag === TAG_GONE && depth === 0))
        reader.fail("Cannot accept this node of a key tree here", at);
      if (tag === TAG_GONE) {
        tree.#children[parent * 2 + side] = GONE;
        continue;
      }
      if (tree.#count >= TREE_NODES_MAX) reader.fail("Cannot accept more nodes of a key tree", at);
      const node = tree.#add();
      if (parent !== GONE) tree.#children[parent * 2 + side] = node;
      if (tag === TAG_SECRET) tree.#secrets.set(reader.view(NODE_BYTES), node * NODE_BYTES);
      else
        waiting.push(
          { parent: node, side: 1, depth: depth + 1 },
          { parent: node, side: 0, depth: depth + 1 },
        );
    }
    return tree;
  }

  /** Gives a node its two children, and forgets its own secret. */
  #expand(node: number): void {
    const both = this.#halves(this.#secretOf(node));
    for (const side of [0, 1]) {
      const child = this.#add();
      this.#secrets.set(both.subarray(side * NODE_BYTES, (side + 1) * NODE_BYTES), child * NODE_BYTES);
      this.#children[node * 2 + side] = child;
    }
    both.fill(0);
    this.#secretOf(node).fill(0);
  }

  #split(secret: Uint8Array, side: number): Uint8Array {
    return this.#halves(secret).subarray(side * NODE_BYTES, (side + 1) * NODE_BYTES);
  }

  #halves(secret: Uint8Array): Uint8Array {
    return this.#hasher.digest(HASH_CONTEXTS.keyTree, preimage([secret]), 2 * NODE_BYTES);
  }

  #secretOf(node: number): Uint8Array {
    return this.#secrets.subarray(node * NODE_BYTES, (node + 1) * NODE_BYTES);
  }

  #add(): number {
    if ((this.#count + 1) * NODE_BYTES > this.#secrets.length) {
      const children = new Int32Array(this.#children.length * 2);
      const secrets = new Uint8Array(this.#secrets.length * 2);
      children.set(this.#children);
      secrets.set(this.#secrets);
      this.#secrets.fill(0);
      this.#children = children;
      this.#secrets = secrets;
    }
    this.#count += 1;
    return this.#count - 1;
  }
}

function bit(path: Uint8Array, depth: number): number {
  return ((path[depth >>> 3] as number) >>> (7 - (depth & 7))) & 1;
}
