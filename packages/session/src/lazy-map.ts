/** A map that costs an object until something is put into it: most sessions have most of theirs empty. */
export class LazyMap<Key, Value> implements ReadonlyMap<Key, Value> {
  #map: Map<Key, Value> | undefined;

  get size(): number {
    return this.#map?.size ?? 0;
  }

  get(key: Key): Value | undefined {
    return this.#map?.get(key);
  }

  has(key: Key): boolean {
    return this.#map?.has(key) ?? false;
  }

  set(key: Key, value: Value): void {
    (this.#map ??= new Map()).set(key, value);
  }

  delete(key: Key): boolean {
    const { size } = this;
    if (size === 0 || this.#map?.delete(key) !== true) return false;
    if (size === 1) this.#map = undefined;
    return true;
  }

  clear(): void {
    this.#map = undefined;
  }

  keys(): MapIterator<Key> {
    return (this.#map ?? EMPTY_MAP).keys() as MapIterator<Key>;
  }

  values(): MapIterator<Value> {
    return (this.#map ?? EMPTY_MAP).values() as MapIterator<Value>;
  }

  entries(): MapIterator<[Key, Value]> {
    return (this.#map ?? EMPTY_MAP).entries() as MapIterator<[Key, Value]>;
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }

  forEach(visit: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }
}

const EMPTY_MAP: ReadonlyMap<unknown, unknown> = new Map();

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
