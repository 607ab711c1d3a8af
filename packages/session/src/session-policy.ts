import { ByteReader, ByteWriter, compareUtf8, HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import { hexOf } from "./hex.ts";
import { checkName, checkText } from "./limits.ts";
import { OP_KIND_CODE, type OpKind, opKindOf } from "./op-kinds.ts";

/** At most so many writes in so long; unused ones add up to no more than `ops`. */
export interface PolicyRate {
  readonly ops: number;
  /** Milliseconds. */
  readonly perMs: number;
}

/**
 * Which sessions of the same user a session's agent may see: all of them, those of the same agent, or those of the
 * same and the named agents.
 */
export type PolicyVisibility = "user" | "agent" | { readonly agents: readonly string[] };

/** What a policy says. What is left out is not limited. */
export interface SessionPolicyRules {
  /** 1 to 64 bytes of UTF-8 without `@`. */
  readonly name: string;
  /** u32, from 1; a policy that says something else has another version. */
  readonly version: number;
  /** The signals that may be given; at most 4,096. */
  readonly signals?: readonly string[];
  /** The kinds of operation that may be written. Beginning and closing a session are always allowed. */
  readonly kinds?: readonly OpKind[];
  /** Operations of one session that one region accepts, its start not counted. */
  readonly opsMax?: number;
  /** How fast one region accepts operations of one session. */
  readonly rate?: PolicyRate;
  /** How long after its start a session takes operations; then its owner closes it. */
  readonly durationMs?: number;
  /** How long after the latest operation the owner closes a session. */
  readonly idleMs?: number;
  /** How long after the latest operation of a closed session the owner purges it. */
  readonly retainMs?: number;
  /** @defaultValue "user" */
  readonly visible?: PolicyVisibility;
}

/** Bytes of a policy's name. */
export const POLICY_NAME_BYTES_MAX = 64;
/** Signals, or agents, that a policy names. */
export const POLICY_LIST_MAX = 4_096;
/** 10,000 years: a longer time is a mistake. */
export const POLICY_MS_MAX: number = 10_000 * 366 * 86_400_000;
/** Bytes of a policy's digest that its id shows. */
const ID_BYTES = 8;
const FORMAT_VERSION = 1;
const VISIBLE = { user: 0, agent: 1, agents: 2 } as const;

/**
 * Rules for sessions, as an immutable value that is named by its content: two policies are the same if their digests
 * are. A session is bound to one by its start.
 *
 * @example
 * ```ts
 * const policy = new SessionPolicy(nobleHasher, { name: "shop", version: 1, signals: ["save"], opsMax: 500 });
 * assert.deepEqual(SessionPolicy.decode(nobleHasher, policy.encode()).digest, policy.digest);
 * assert.match(policy.id, /^shop@[0-9a-f]{16}$/);
 * ```
 */
export class SessionPolicy {
  readonly rules: SessionPolicyRules;
  /** 32 bytes over the canonical bytes. */
  readonly digest: Uint8Array;
  /** What a start names it by: its name, `@`, and the first 8 bytes of its digest in hexadecimal. */
  readonly id: string;
  readonly signals: ReadonlySet<string> | undefined;
  readonly kinds: ReadonlySet<OpKind> | undefined;

  /** @throws `RangeError`, `TypeError`, {@link SessionError} `INVALID_INPUT` for rules that cannot be. */
  constructor(hasher: Hasher, rules: SessionPolicyRules) {
    this.rules = checkRules(rules);
    this.signals = rules.signals && new Set(rules.signals);
    this.kinds = rules.kinds && new Set(rules.kinds);
    this.digest = hasher.digest(HASH_CONTEXTS.sessionPolicy, this.encode(), 32);
    this.id = `${rules.name}@${hexOf(this.digest, 0, ID_BYTES)}`;
  }

  /**
   * The canonical bytes: equal rules, equal bytes. What may be left out is u8 0, or u8 1 and:
   *
   * | field      | layout                                                                   |
   * | :--------- | :----------------------------------------------------------------------- |
   * | version    | u8 1, always                                                             |
   * | name       | `text`, always; policy version u32, always                               |
   * | signals    | varint count, ascending by their bytes: `text`                           |
   * | kinds      | varint count, ascending: u8                                              |
   * | count      | varint                                                                   |
   * | rate       | varint operations, varint milliseconds                                   |
   * | duration   | varint milliseconds; then idle time and retention in the same way        |
   * | visible    | u8 0 all of the user's, 1 the agent's, 2 and varint count, ascending: agent `text`; always |
   */
  encode(): Uint8Array {
    const { name, version, signals, kinds, opsMax, rate, visible = "user" } = this.rules;
    const writer = new ByteWriter();
    writer.u8(FORMAT_VERSION);
    writer.text(name);
    writer.u32(version);
    writeOptional(writer, signals, (list) => writeTexts(writer, list));
    writeOptional(writer, kinds, (list) => {
      const codes = [...new Set(list.map((kind) => OP_KIND_CODE[kind]))].sort((a, b) => a - b);
      writer.varint(codes.length);
      for (const code of codes) writer.u8(code);
    });
    writeOptional(writer, opsMax, (count) => writer.varint(count));
    writeOptional(writer, rate, ({ ops, perMs }) => {
      writer.varint(ops);
      writer.varint(perMs);
    });
    for (const ms of timesOf(this.rules)) writeOptional(writer, ms, (value) => writer.varint(value));
    writer.u8(typeof visible === "string" ? VISIBLE[visible] : VISIBLE.agents);
    if (typeof visible === "object") writeTexts(writer, visible.agents);
    return writer.take();
  }

  /** The inverse of {@link SessionPolicy.encode}. @throws {@link CoreError} `DECODE_FAILED`. */
  static decode(hasher: Hasher, bytes: Uint8Array): SessionPolicy {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== FORMAT_VERSION) reader.fail("Cannot read this version of a policy", 0);
    const [name, version] = [reader.text(POLICY_NAME_BYTES_MAX), reader.u32()];
    const signals = readOptional(reader, () => readTexts(reader));
    const kinds = readOptional(reader, () => readKinds(reader));
    const opsMax = readOptional(reader, () => reader.varint());
    const rate = readOptional(reader, () => ({ ops: reader.varint(), perMs: reader.varint() }));
    const [durationMs, idleMs, retainMs] = [0, 1, 2].map(() => readOptional(reader, () => reader.varint()));
    const visible = readVisible(reader);
    reader.finish();
    const rules = { name, version, signals, kinds, opsMax, rate, durationMs, idleMs, retainMs, visible };
    const given = Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined));
    let policy: SessionPolicy;
    try {
      policy = new SessionPolicy(hasher, given as unknown as SessionPolicyRules);
    } catch (error) {
      return reader.fail(`Cannot accept a policy: ${(error as Error).message}`, 0);
    }
    // One policy, one encoding.
    if (!policy.encode().every((byte, at) => byte === bytes[at])) reader.fail("Cannot accept the order", 0);
    return policy;
  }

  /** Whether a session's agent may see the sessions of another agent of the same user. */
  sees(agent: string, other: string): boolean {
    const { visible = "user" } = this.rules;
    if (visible === "user" || agent === other) return true;
    return typeof visible === "object" && visible.agents.includes(other);
  }
}

function timesOf(rules: SessionPolicyRules): readonly (number | undefined)[] {
  return [rules.durationMs, rules.idleMs, rules.retainMs];
}

function checkRules(rules: SessionPolicyRules): SessionPolicyRules {
  const { name, version, signals = [], kinds = [], opsMax = 0, rate, visible } = rules;
  checkText(checkName(name, "policy.name"), "policy.name", POLICY_NAME_BYTES_MAX);
  if (name.includes("@")) throw new RangeError(`A policy's name must not hold an @: ${JSON.stringify(name)}`);
  checkInteger(version, "version", 1, 0xffff_ffff);
  checkList(signals, "signals");
  for (const kind of kinds)
    if (opKindOf(OP_KIND_CODE[kind]) === undefined)
      throw new RangeError(`policy.kinds must name kinds of operation: ${JSON.stringify(kind)}`);
  checkInteger(opsMax, "opsMax", 0, Number.MAX_SAFE_INTEGER);
  if (rate !== undefined) {
    checkInteger(rate.ops, "rate.ops", 1, Number.MAX_SAFE_INTEGER);
    checkInteger(rate.perMs, "rate.perMs", 1, POLICY_MS_MAX);
  }
  for (const ms of timesOf(rules)) if (ms !== undefined) checkInteger(ms, "times", 0, POLICY_MS_MAX);
  if (visible === undefined || visible === "user" || visible === "agent") return rules;
  if (typeof visible !== "object")
    throw new RangeError(`policy.visible must be "user", "agent" or { agents }: ${String(visible)}`);
  checkList(visible.agents, "visible.agents");
  return rules;
}

function checkInteger(value: number, what: string, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw new RangeError(`policy.${what} must be an integer from ${least} to ${most}: ${value}`);
}

function checkList(names: readonly string[], what: string): void {
  if (names.length > POLICY_LIST_MAX)
    throw new RangeError(`policy.${what} has ${names.length} entries: the limit is ${POLICY_LIST_MAX}`);
  for (const name of names) checkName(name, `policy.${what}`);
}

function writeOptional<Value>(
  writer: ByteWriter,
  value: Value | undefined,
  write: (value: Value) => void,
): void {
  writer.u8(value === undefined ? 0 : 1);
  if (value !== undefined) write(value);
}

function readOptional<Value>(reader: ByteReader, read: () => Value): Value | undefined {
  const start = reader.offset;
  const flag = reader.u8();
  if (flag > 1) reader.fail(`Cannot accept the flag ${flag}`, start);
  return flag === 0 ? undefined : read();
}

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  const sorted = [...new Set(texts)].sort(compareUtf8);
  writer.varint(sorted.length);
  for (const text of sorted) writer.text(text);
}

function readTexts(reader: ByteReader): string[] {
  return Array.from({ length: reader.count(1) }, () => reader.text());
}

function readKinds(reader: ByteReader): OpKind[] {
  return Array.from({ length: reader.count(1) }, () => {
    const start = reader.offset;
    const kind = opKindOf(reader.u8());
    return kind ?? reader.fail("Cannot read an unknown kind of operation", start);
  });
}

function readVisible(reader: ByteReader): PolicyVisibility {
  const start = reader.offset;
  const code = reader.u8();
  if (code === VISIBLE.user) return "user";
  if (code === VISIBLE.agent) return "agent";
  return code === VISIBLE.agents
    ? { agents: readTexts(reader) }
    : reader.fail(`Cannot read the visibility ${code}`, start);
}
