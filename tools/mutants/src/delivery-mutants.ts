import type { Mutant } from "./mutant.ts";

const FAULTS = { project: "replication", file: "packages/replication/test/faults.test.ts" };
const BEHIND = { project: "replication", file: "packages/replication/test/behind.test.ts" };
const COST = { project: "replication", file: "packages/replication/test/reconcile-cost.test.ts" };
const MEMBERS = { project: "replication", file: "packages/replication/test/members.test.ts" };
const CODECS = { project: "replication", file: "packages/replication/test/codecs.test.ts" };
const CLUSTER = { project: "replication", file: "packages/replication/test/cluster.test.ts" };
const RESTART = { project: "region", file: "packages/region/test/restart.test.ts" };
const LOG_RECEIVER = "packages/replication/src/log-receiver.ts";
const WAL_LOG = "packages/wal/src/wal-log.ts";
const EXCHANGE = "packages/replication/src/exchange.ts";
const FRAME = "packages/replication/src/frame.ts";
const SHIP_WINDOW = "packages/replication/src/ship-window.ts";
const EPOCH_DECISION = "packages/replication/src/epoch-decision.ts";
const SIMULATED_NETWORK = {
  project: "simulator",
  file: "packages/simulator/test/network-scenarios.test.ts",
};
const SIMULATED_BROKER = {
  project: "simulator",
  file: "packages/simulator/test/broker-scenarios.test.ts",
};

/** Scenarios in which frames, members and disks misbehave and logs must still become the same everywhere. */
export const DELIVERY_MUTANTS: readonly Mutant[] = [
  {
    scenario: 13,
    name: "a batch that came too early is stored and applied over the hole before it",
    edits: [
      {
        file: LOG_RECEIVER,
        pattern: `    if (firstLsn > this.accepted.lsn + 1) return this.#keepAhead(now, batch);
    if (!this.#continues(batch)) return this.#fork(batch);`,
        replacement: "",
      },
      {
        file: WAL_LOG,
        pattern: "if (batch.firstLsn !== lsn + 1) refuse(",
        replacement: "if (batch.firstLsn <= lsn) refuse(",
      },
      {
        file: WAL_LOG,
        pattern: "if (!continuesDigest(batch, lsn, digest))",
        replacement: "if (!continuesDigest(batch, lsn, digest) && digest.length === 0)",
      },
      {
        file: "packages/replication/src/replication-state.ts",
        pattern: "if (batch.firstLsn !== applied + 1) {",
        replacement: "if (batch.firstLsn <= applied) {",
      },
    ],
    tests: [
      { ...SIMULATED_NETWORK, name: "scenario 13: every frame doubled, overtaken or late" },
      { ...FAULTS, name: "REP-2 scenario 13: duplicated, reordered and lost frames change nothing" },
    ],
  },
  {
    scenario: 14,
    name: "a batch that came too early is dropped, and nobody remembers that it is missing",
    edits: [
      {
        file: LOG_RECEIVER,
        pattern: `    this.announce(now, batch.lastLsn);
    const room = this.#aheadBytesMax - this.aheadBytes;
    const kept = batch.bytes.length <= room;`,
        replacement: `    const room = this.#aheadBytesMax - this.aheadBytes;
    const kept = batch.bytes.length <= room && room < 0;`,
      },
      { file: LOG_RECEIVER, pattern: "    this.holeSince ??= now;\n", replacement: "" },
    ],
    tests: [{ ...FAULTS, name: "REP-2 scenario 14: a lost frame holds the mark, is asked for" }],
  },
  {
    scenario: 17,
    name: "the mark of a log moves a moment after the effect of its batch",
    edits: [
      {
        file: "packages/replication/src/applier.ts",
        pattern: "      this.#state.advance(batch);\n",
        replacement: "      queueMicrotask(() => this.#state.advance(batch));\n",
      },
    ],
    tests: [{ ...FAULTS, name: "REP-9 scenario 17: killed at any moment, effect and mark come back as one" }],
  },
  {
    scenario: 17,
    name: "after a restart the batch that a checkpoint ends with is applied again",
    edits: [
      {
        file: "packages/replication/src/applier.ts",
        pattern: `    let from = this.#state.lsnOf(log.id) + 1;
    this.#behind.add(key);`,
        replacement: `    let from = Math.max(1, this.#state.lsnOf(log.id));
    this.#behind.add(key);`,
      },
    ],
    tests: [{ ...FAULTS, name: "REP-9 scenario 17: killed at any moment, effect and mark come back as one" }],
  },
  {
    scenario: 19,
    name: "what is missing of a log is never asked for",
    edits: [
      {
        file: LOG_RECEIVER,
        pattern: "return to < from ? undefined : { from, to };",
        replacement: "return to < from || from > 0 ? undefined : { from, to };",
      },
    ],
    tests: [
      {
        ...SIMULATED_BROKER,
        name: "scenario 19: the broker trims what a follower that is away has not read",
      },
      { ...FAULTS, name: "REP-2 scenario 19: a broker trims what a follower has not read" },
    ],
  },
  {
    scenario: 22,
    name: "what was asked and answered is asked again, for ever",
    edits: [
      {
        file: EXCHANGE,
        pattern: "      if (this.#underWay.get(region)?.abort === abort) this.#underWay.delete(region);\n",
        replacement:
          "      if (this.#underWay.get(region)?.abort === abort) this.#underWay.delete(region);\n      this.#options.timers.setTimer(20, () => this.#with(region));\n",
      },
    ],
    tests: [
      { ...SIMULATED_NETWORK, name: "scenario 22: links cut one way, and flapping every 50 ms" },
      { ...FAULTS, name: "REP-4 scenario 22: a one-way partition that flaps every 50 ms converges" },
    ],
  },
  {
    scenario: 22,
    name: "what a member acknowledges is not compared with what is held, and a question lost is not asked again",
    edits: [
      {
        file: EXCHANGE,
        pattern: "    this.#options.engine.fetch(this.#reconcile(ack.vector), false);\n",
        replacement: "",
      },
      {
        file: EXCHANGE,
        pattern: "    await this.#options.engine.apply(this.#reconcile(ack.vector));\n",
        replacement: "",
      },
    ],
    tests: [
      { ...SIMULATED_NETWORK, name: "scenario 22: links cut one way, and flapping every 50 ms" },
      { ...FAULTS, name: "REP-4 scenario 22: a one-way partition that flaps every 50 ms converges" },
    ],
  },
  {
    scenario: 31,
    name: "a full queue drops its oldest record and acknowledges it",
    edits: [
      {
        file: "packages/wal/src/commit-queue.ts",
        pattern: "    if (this.#waiters.size === 0 && this.#hasRoom(entry)) {",
        replacement: `    for (let oldest = this.peek(); oldest !== undefined && !this.#hasRoom(entry); oldest = this.peek()) {
      this.shift();
      oldest.resolve(0, 0);
    }
    if (this.#waiters.size === 0 && this.#hasRoom(entry)) {`,
      },
    ],
    tests: [{ ...BEHIND, name: "scenario 31: a follower far behind a writer at full speed" }],
  },
  {
    scenario: 31,
    name: "a writer publishes on, however far every follower is behind",
    edits: [
      {
        file: SHIP_WINDOW,
        pattern: "    this.stalled = !this.#someoneWithinWindow();\n",
        replacement: "    this.stalled = false;\n",
      },
    ],
    tests: [{ ...BEHIND, name: "scenario 31: a follower far behind a writer at full speed" }],
  },
  {
    scenario: 32,
    name: "publishing waits for the slowest follower",
    edits: [
      {
        file: SHIP_WINDOW,
        pattern: `      if (this.#total - ackedBytes < this.#windowBytes) return true;
    }
    return false;`,
        replacement: `      if (this.#total - ackedBytes >= this.#windowBytes) return false;
    }
    return true;`,
      },
    ],
    tests: [{ ...BEHIND, name: "scenario 32: a gray follower, 5 s a sync and a slow link" }],
  },
  {
    scenario: 33,
    name: "whoever is behind is sent the whole log again",
    edits: [
      {
        file: SHIP_WINDOW,
        pattern: "    follower.acked = Math.min(lsn, this.durable);\n",
        replacement: `    follower.acked = Math.min(lsn, this.durable);
    if (follower.acked < this.durable) this.shipped = this.#sent = 0;
`,
      },
      {
        file: SHIP_WINDOW,
        pattern: "    this.#skipHeldByAll();\n    if (this.#sent >=",
        replacement: "    if (this.#sent >=",
      },
    ],
    tests: [{ ...COST, name: "differences cost bytes in proportion, not the log again" }],
  },
  {
    scenario: 34,
    name: "what is stored while a restarted region reads its logs is not applied",
    edits: [
      {
        file: "packages/replication/src/applier.ts",
        pattern: "    await this.#catchUp(log, detach);\n  }",
        replacement: "    this.#behind.add(key);\n  }",
      },
    ],
    tests: [
      { ...SIMULATED_NETWORK, name: "scenario 34: regions reconcile while both sides write, and one dies" },
      { ...COST, name: "REP-11 scenario 34: reconciling while both sides write and one of them dies" },
    ],
  },
  {
    scenario: 38,
    name: "a frame is used whatever its tag says",
    edits: [
      {
        file: FRAME,
        pattern:
          'if (!equalTags(this.#tag(keyId, bytes.subarray(0, bodyEnd)), bytes.subarray(bodyEnd))) return "tag";',
        replacement: "",
      },
    ],
    tests: [
      { ...FAULTS, name: "TRN-4 scenario 38: malformed frames are counted, kept as evidence in bounds" },
    ],
  },
  {
    scenario: 38,
    name: "a count is believed, whatever is left of the message",
    edits: [
      {
        file: "packages/core/src/byte-reader.ts",
        pattern: "if (count * bytesEach > this.remaining) {",
        replacement: "if (count < 0) {",
      },
    ],
    tests: [
      { ...CODECS, name: "CORE-13 scenario 38: a giant count is refused before anything is allocated" },
    ],
  },
  {
    scenario: 39,
    name: "of two live keys only the first is accepted",
    edits: [
      {
        file: FRAME,
        pattern: "for (const { id, key } of keys) {",
        replacement: "for (const { id, key } of keys.slice(0, 1)) {",
      },
    ],
    tests: [{ ...CLUSTER, name: "TRN-4 scenario 39: keys rotate in mid-stream without a gap" }],
  },
  {
    scenario: 39,
    name: "a frame without a signature is accepted where a key is set",
    edits: [
      {
        file: FRAME,
        pattern: '    if (keyId === 0 && !this.#acceptUnsigned) return "unsigned";\n',
        replacement: "",
      },
    ],
    tests: [{ ...CLUSTER, name: "TRN-4 scenario 39: keys rotate in mid-stream without a gap" }],
  },
  {
    scenario: 40,
    name: "frames of an unknown version are skipped without a word",
    edits: [
      {
        file: "packages/replication/src/link.ts",
        pattern: "            if (refusal === undefined) this.#good(subject);",
        replacement: '            if (refusal === undefined || refusal === "version") this.#good(subject);',
      },
    ],
    tests: [
      { ...FAULTS, name: "REP-13 scenario 40: frames of an unknown version are refused, counted and told" },
    ],
  },
  {
    scenario: 40,
    name: "a frame of an unknown version is read as one of this version",
    edits: [
      {
        file: FRAME,
        pattern: '    if (bytes[OFFSET.version] !== FRAME_VERSION) return "version";\n',
        replacement: "",
      },
      {
        file: FRAME,
        pattern: "this.#tag(keyId, bytes.subarray(0, bodyEnd))",
        replacement:
          "this.#tag(keyId, bytes.slice(0, bodyEnd).fill(FRAME_VERSION, OFFSET.version, OFFSET.kind))",
      },
    ],
    tests: [
      { ...FAULTS, name: "REP-13 scenario 40: frames of an unknown version are refused, counted and told" },
    ],
  },
  {
    scenario: 42,
    name: "what a member holds is taken from the transport alone, and never compared",
    edits: [
      {
        file: EXCHANGE,
        pattern: "    this.#options.engine.fetch(this.#reconcile(ack.vector), false);\n",
        replacement: "",
      },
      {
        file: EXCHANGE,
        pattern: "    await this.#options.engine.apply(this.#reconcile(ack.vector));\n",
        replacement: "",
      },
    ],
    tests: [
      {
        ...SIMULATED_BROKER,
        name: "scenario 42: the transport is switched in mid-stream, one region after the other",
      },
      { ...FAULTS, name: "REP-3 scenario 42: the transport is switched in mid-stream" },
    ],
  },
  {
    scenario: 43,
    name: "a log is written on after a restart, whatever the members hold of it",
    edits: [
      {
        file: EPOCH_DECISION,
        pattern: `    !contradicted &&
    candidate.durable.lsn > 0 &&
    others.every((region) => confirmedBy.has(region))`,
        replacement: "    candidate.durable.lsn > 0",
      },
    ],
    tests: [
      { ...FAULTS, name: "CORE-2 REP-4 scenario 43: over an older disk image the own tail is fetched back" },
      {
        ...FAULTS,
        name: "CORE-2 scenario 43: a write that cannot wait for the peers opens a new epoch at once",
      },
      { ...RESTART, name: "scenario 43: an older image of the directory: a new epoch" },
    ],
  },
  {
    scenario: 47,
    name: "what a removed member still holds alone is not fetched",
    edits: [
      {
        file: EXCHANGE,
        pattern: "      if (removed === undefined) return;\n",
        replacement: '      if (removed === undefined || removed.name !== "") return;\n',
      },
    ],
    tests: [
      { ...MEMBERS, name: "REP-7 scenario 47: a removed region ships what it had not" },
      {
        project: "region",
        file: "packages/region/test/members.test.ts",
        name: "scenario 47: a region removed with an unshipped hide returns",
      },
    ],
  },
  {
    scenario: 50,
    name: "a rotten last batch is cut off as torn, and the log goes on from there",
    edits: [
      {
        file: "packages/wal/src/recovery.ts",
        pattern: '  const reason = cut\n    ? "tail-cut"',
        replacement: '  const reason = cut && torn === undefined\n    ? "tail-cut"',
      },
      {
        file: EPOCH_DECISION,
        pattern: `    !contradicted &&
    candidate.durable.lsn > 0 &&
    others.every((region) => confirmedBy.has(region))`,
        replacement: "    candidate.durable.lsn > 0",
      },
    ],
    tests: [
      { ...FAULTS, name: "CORE-2 scenario 50: the last acknowledged batch rots" },
      {
        project: "wal",
        file: "packages/wal/test/repair.test.ts",
        name: "scenario 50, WAL-11: the last acknowledged batch rots at the tail",
      },
    ],
  },
];
