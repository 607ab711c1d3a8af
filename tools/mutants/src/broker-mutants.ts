import type { Mutant } from "./mutant.ts";

const NATS_FAULTS = { project: "transport-nats", file: "packages/transport-nats/test/faults.test.ts" };
const NATS_REGIONS = { project: "transport-nats", file: "packages/transport-nats/test/regions.test.ts" };
const REDIS_FAULTS = { project: "transport-redis", file: "packages/transport-redis/test/faults.test.ts" };
const REDIS_REGIONS = { project: "transport-redis", file: "packages/transport-redis/test/regions.test.ts" };
const NODE_FS = "packages/wal/src/node.ts";

/** Scenarios over real brokers that forget, trim, repeat and come back with less. */
export const BROKER_MUTANTS: readonly Mutant[] = [
  {
    scenario: 18,
    name: "a position in a stream that was deleted is one in the stream made after it",
    edits: [
      {
        file: "packages/transport-nats/src/cursor.ts",
        pattern: `    if (before !== undefined && before.created !== created) return { created, seq: 0 };
    if (before !== undefined) return { created, seq: before.seq > state.last_seq ? 0 : before.seq };
`,
        replacement: "    if (before !== undefined) return { created, seq: before.seq };\n",
      },
    ],
    tests: [{ ...NATS_FAULTS, name: "scenario 18 the stream is deleted: it is made again" }],
  },
  {
    scenario: 19,
    name: "frames that were trimmed before they were read are a gap that nobody is told of",
    edits: [
      {
        file: "packages/transport-redis/src/redis-transport.ts",
        pattern:
          "          if (previous !== undefined && compareEntryIds(previous, seen) > 0) this.#gap(subject);\n",
        replacement: "",
      },
    ],
    tests: [
      { ...REDIS_FAULTS, name: "scenario 19: what is trimmed before it was read is a gap that is told" },
    ],
  },
  {
    scenario: 20,
    name: "a repeat is left to the broker's window of ids",
    edits: [
      {
        file: "packages/transport-nats/src/lane.ts",
        pattern: "    if (mark === undefined) return 0;\n",
        replacement: "    if (mark === undefined || parts.length > 0) return 0;\n",
      },
    ],
    tests: [
      { ...NATS_FAULTS, name: "scenario 20 a repeat after the broker's window for repeats is stored once" },
    ],
  },
  {
    scenario: 20,
    name: "every frame that is sent is stored under an id of the server's",
    edits: [
      {
        file: "packages/transport-redis/src/outbox.ts",
        pattern: '"XADD", this.#key, ...cap, id, ...previous,',
        replacement: '"XADD", this.#key, ...cap, id.length > 0 ? "*" : id, ...previous,',
      },
    ],
    tests: [{ ...REDIS_FAULTS, name: "scenario 20: a frame that is published again, however late" }],
  },
  {
    scenario: 21,
    name: "what the broker took counts as delivered: members never ask for what is missing",
    edits: [
      {
        file: "packages/replication/src/repair.ts",
        pattern: "else if (this.#underWay.size < limits.requestsInFlightMax) this.#ask(key, receiving);",
        replacement: "else if (this.#underWay.size < 0) this.#ask(key, receiving);",
      },
    ],
    tests: [
      { ...REDIS_REGIONS, name: "scenario 21: Redis fails over to a replica that lacks the last frames" },
      { ...NATS_REGIONS, name: "scenario 21 it fails over to files that lack the end" },
    ],
  },
  {
    scenario: 41,
    name: "on a real disk a write reaches the system a moment after it was acknowledged",
    edits: [
      {
        file: NODE_FS,
        pattern: "function nodeFile(descriptor: number): WalFile {\n",
        replacement: `function nodeFile(descriptor: number): WalFile {
  const held: (() => void)[] = [];
  const flush = (): void => held.splice(0).forEach((one) => one());
`,
      },
      {
        file: NODE_FS,
        pattern: "write: (bytes, position) => fs.writeSync(descriptor, bytes, 0, bytes.length, position),",
        replacement: `write: (bytes, position) => {
      const copy = bytes.slice();
      held.push(() => fs.writeSync(descriptor, copy, 0, copy.length, position));
      setTimeout(flush, 50);
      return copy.length;
    },`,
      },
      {
        file: NODE_FS,
        pattern: "size: async () => (await",
        replacement: "size: async () => (flush(), await",
      },
      {
        file: NODE_FS,
        pattern: "read: async (into, position) => (await",
        replacement: "read: async (into, position) => (flush(), await",
      },
      {
        file: NODE_FS,
        pattern: "readNow: (into, position) => fs.readSync(",
        replacement: "readNow: (into, position) => (flush(), fs).readSync(",
      },
      {
        file: NODE_FS,
        pattern: "truncate: (bytes) => ftruncate(",
        replacement: "truncate: (bytes) => (flush(), ftruncate)(",
      },
      {
        file: NODE_FS,
        pattern: "close: () => (closing ??=",
        replacement: "close: () => (flush(), closing ??=",
      },
    ],
    tests: [
      {
        project: "region",
        file: "packages/region/test/process-kill.test.ts",
        name: "in the middle of its writes has lost nothing it acknowledged, and doubled nothing",
      },
      {
        ...REDIS_REGIONS,
        name: "times kill -9 of a region's process and of Redis: nothing acknowledged is lost",
      },
    ],
  },
  {
    scenario: 41,
    name: "a reader that fell silent is not made again",
    edits: [
      {
        file: "packages/transport-nats/src/cursor.ts",
        pattern: '        if (ending === "full") await this.#room();',
        replacement:
          '        if (ending === "lost") await pause(platform, 3_600_000, signal);\n        if (ending === "full") await this.#room();',
      },
    ],
    tests: [
      { ...NATS_FAULTS, name: "scenario 41 it is killed and started again under way" },
      { ...NATS_REGIONS, name: "times in turn: both regions hold every write once" },
    ],
  },
];
