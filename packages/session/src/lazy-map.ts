/** Up to so many entries are looked through one by one. */
const FEW = 6;

/**
 * A map of few entries in few bytes: nothing until one is put into it, then a list, and a real map once there are many.
 * A session has many maps, most of them empty or nearly.
 */
export class LazyMap<Key, Value> implements ReadonlyMap<Key, Value> {
  /** Keys and values in turn, or all of them. */
  #few: (Key | Value)[] | undefined;
  #many: Map<Key, Value> | undefined;

  get size(): number {
    return this.#many?.size ?? (this.#few?.length ?? 0) / 2;
  }

  get(key: Key): Value | undefined {
    if (this.#many !== undefined) return this.#many.get(key);
    const at = this.#find(key);
    return at < 0 ? undefined : (this.#few?.[at + 1] as Value);
  }

  has(key: Key): boolean {
    return this.#many?.has(key) ?? this.#find(key) >= 0;
  }

  set(key: Key, value: Value): void {
    if (this.#many !== undefined) {
      this.#many.set(key, value);
      return;
    }
    const at = this.#find(key);
    if (this.#few === undefined) this.#few = [key, value];
    else if (at >= 0) this.#few[at + 1] = value;
    else if (this.#few.length < 2 * FEW) this.#few.push(key, value);
    else {
      this.#many = new Map(this.entries());
      this.#many.set(key, value);
      this.#few = undefined;
    }
  }

  delete(key: Key): boolean {
    if (this.#many !== undefined) return this.#many.delete(key);
    const at = this.#find(key);
    if (at < 0) return false;
    this.#few?.splice(at, 2);
    if (this.#few?.length === 0) this.#few = undefined;
    return true;
  }

  clear(): void {
    this.#few = undefined;
    this.#many = undefined;
  }

  *keys(): MapIterator<Key> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  *entries(): MapIterator<[Key, Value]> {
    if (this.#many !== undefined) {
      yield* this.#many.entries();
      return;
    }
    // By number, as a map does it: what is added meanwhile is met too.
    for (let at = 0; at < (this.#few?.length ?? 0);) {
      const key = this.#few?.[at] as Key;
      yield [key, this.#few?.[at + 1] as Value];
      // What is deleted meanwhile makes room for the next.
      if (this.#few?.[at] === key) at += 2;
    }
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }

  forEach(visit: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  #find(key: Key): number {
    const few = this.#few;
    if (few === undefined) return -1;
    for (let at = 0; at < few.length; at += 2) if (few[at] === key) return at;
    return -1;
  }
}

/** A set that costs an object until something is put into it. */
export class LazySet<Value> implements Iterable<Value> {
  #set: Set<Value> | undefined;

  get size(): number {
    return this.#set?.size ?? 0;
  }

  has(value: Value): boolean {
    return this.#set?.has(value) ?? false;
  }

  add(value: Value): void {
    (this.#set ??= new Set()).add(value);
  }

  delete(value: Value): boolean {
    const { size } = this;
    if (size === 0 || this.#set?.delete(value) !== true) return false;
    if (size === 1) this.#set = undefined;
    return true;
  }

  clear(): void {
    this.#set = undefined;
  }

  [Symbol.iterator](): SetIterator<Value> {
    return (this.#set ?? EMPTY_SET).values() as SetIterator<Value>;
  }
}

const EMPTY_SET: ReadonlySet<unknown> = new Set();
