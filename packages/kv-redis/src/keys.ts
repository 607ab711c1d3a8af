import { encodeHashTag } from "@tidemark/redis-connection";

/** The keys of one partition: they share a hash tag, so a cluster keeps them in one slot. */
export interface PartitionKeys {
  /** A hash: the values, and under the empty field the mark of the last commit. */
  readonly values: string;
  /** A sorted set of the keys, all with the score 0. */
  readonly names: string;
}

/**
 * The keys of one prefix.
 *
 * | key                                  | holds                                                        |
 * | :----------------------------------- | :----------------------------------------------------------- |
 * | `<prefix>:{<partition>}:values`      | a hash: key to value; the empty field holds the mark         |
 * | `<prefix>:{<partition>}:names`       | a sorted set of the keys, for ranges; every score is 0       |
 * | `<prefix>:format`                    | the format of the whole store                                |
 * | `<prefix>:{clock}`                   | nothing: its slot says which node of a cluster has the clock |
 * | `<prefix>:{rehearsal}:<id>:values`   | for a moment while a store is opened; `:names` likewise      |
 */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get format(): string {
    return `${this.#prefix}:format`;
  }

  get clock(): string {
    return `${this.#prefix}:{clock}`;
  }

  partition(partition: string): PartitionKeys {
    return keysOf(`${this.#prefix}:{${encodeHashTag(partition)}}`);
  }

  rehearsal(id: string): PartitionKeys {
    return keysOf(`${this.#prefix}:{rehearsal}:${id}`);
  }
}

function keysOf(place: string): PartitionKeys {
  return { values: `${place}:values`, names: `${place}:names` };
}
