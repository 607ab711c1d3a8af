/**
 * The keys of one prefix. The hash tag comes first and is the only pair of braces, so that a cluster spreads shards and
 * one read may name every stream of a shard.
 *
 * | key                                   | holds                                                     |
 * | :------------------------------------ | :-------------------------------------------------------- |
 * | `<prefix>:{<tag>}:log:<subject>`      | frames with a sequence, under their epoch and last LSN     |
 * | `<prefix>:{<tag>}:eph:<subject>`      | frames without one, the newest few                        |
 * | `<prefix>:{<subject>}:requests`       | requests to whoever serves the subject                    |
 * | `<prefix>:{<id>}:replies`             | replies to one transport, by its random id; expires       |
 * | `<prefix>:{<tag>}:wake:<id>`          | one entry that ends a transport's waiting read; expires   |
 */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  log(subject: string): string {
    return this.#key(tagOf(subject), `log:${subject}`);
  }

  ephemeral(subject: string): string {
    return this.#key(tagOf(subject), `eph:${subject}`);
  }

  requests(subject: string): string {
    return this.#key(subject, "requests");
  }

  replies(id: string): string {
    return this.#key(id, "replies");
  }

  wake(tag: string, id: string): string {
    return this.#key(tag, `wake:${id}`);
  }

  #key(tag: string, rest: string): string {
    return `${this.#prefix}:{${tag}}:${rest}`;
  }
}

/** The shard of `<channel>.<region>.<shard>`, and the kind of anything shorter, such as `ack`. */
export function tagOf(subject: string): string {
  const tokens = subject.split(".");
  return (tokens.length > 2 ? tokens.at(-1) : tokens[0])!;
}

/** The hash tag of a key. */
export function tagOfKey(key: string): string {
  return key.slice(key.indexOf("{") + 1, key.indexOf("}"));
}
