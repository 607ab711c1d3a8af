/** Several sorted sequences as one. Asks each for its first at once, later only for what comes after one that was given. */
export async function* mergeSorted<Item>(
  sources: readonly AsyncGenerator<Item>[],
  compare: (a: Item, b: Item) => number,
): AsyncGenerator<Item> {
  try {
    const firsts = await Promise.all(sources.map((source) => source.next()));
    const heads = sources.flatMap((source, index) => {
      const first = firsts[index]!;
      return first.done === true ? [] : [{ source, item: first.value }];
    });
    heads.sort((a, b) => compare(a.item, b.item));
    for (let head = heads.shift(); head !== undefined; head = heads.shift()) {
      yield head.item;
      const following = await head.source.next();
      if (following.done === true) continue;
      const item = following.value;
      const at = heads.findIndex((other) => compare(item, other.item) < 0);
      heads.splice(at === -1 ? heads.length : at, 0, { source: head.source, item });
    }
  } finally {
    await Promise.all(sources.map((source) => source.return(undefined)));
  }
}
