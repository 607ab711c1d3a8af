import {
  ByteReader,
  ByteWriter,
  compareUtf8,
  guardText,
  HALF_LIFE_MS_MAX,
  HASH_CONTEXTS,
  type Hasher,
  nobleHasher,
  type SignalDecay,
  type SignalWindow,
} from "@tidemark/core";
import { type SchemaProblem, SignalError } from "./errors.ts";

/** One kind of signal. */
export type SignalDefinition<Name extends string = string> = SignalDecay & {
  /** 1 to 128 UTF-8 bytes. */
  readonly name: Name;
  /** The windows that can be read; `"all"` always can. At least one, unless the signal is permanent. */
  readonly windows?: readonly SignalWindow[];
  /** Whether its velocity can be read: needs a window that is not `"all"`. @defaultValue false */
  readonly velocity?: boolean;
};

/** A definition as a schema holds it. */
export interface SignalKind<Name extends string = string> {
  readonly name: Name;
  readonly decay: SignalDecay;
  /** From the shortest to the longest, without `"all"`. */
  readonly windows: readonly FiniteWindow[];
  /** Whether `"all"` was asked for; it can be read in any case. */
  readonly allTime: boolean;
  readonly velocity: boolean;
}

/** A window with an end. */
export type FiniteWindow = Exclude<SignalWindow, "all">;

/** Signals a schema can have. */
export const SIGNAL_COUNT_MAX = 1_024;
/** Bytes of a name of a signal or an entity. */
export const SIGNAL_NAME_BYTES_MAX = 128;

const VERSION = 1;
const FLAG_VELOCITY = 1;
const DECAY_SHIFT = 1;
const WINDOWS: readonly SignalWindow[] = ["1h", "24h", "7d", "all"];
const WINDOW_BIT_ALL = 0b1000;
const utf8 = new TextEncoder();

/**
 * The signals of an application: what each is called, how it fades, and what can be read of it. Two schemas that say
 * the same have the same digest, in whatever order they say it.
 *
 * @example
 * ```ts
 * const schema = defineSignals([
 *   { name: "save", halfLifeMs: 7 * 86_400_000, windows: ["24h", "7d"], velocity: true },
 *   { name: "skip", linearMs: 86_400_000, windows: ["1h"] },
 *   { name: "bought", permanent: true },
 * ]);
 * assert.equal(schema.has("save"), true);
 * assert.equal(schema.digest.length, 32);
 * ```
 */
export class SignalSchema<Name extends string = string> {
  /** In order of the UTF-8 bytes of their names. */
  readonly kinds: readonly SignalKind<Name>[];
  /** {@link SignalSchema.encode}'s bytes, hashed: 32 bytes under a context of their own. */
  readonly digest: Uint8Array;
  readonly #indexes: ReadonlyMap<string, number>;

  /** @throws {@link SignalError} `SCHEMA_INVALID` with the signal and the problem. */
  constructor(definitions: readonly SignalDefinition<Name>[], hasher: Hasher = nobleHasher) {
    const given: unknown = definitions;
    if (!Array.isArray(given)) throw new TypeError("A schema is made of an array of definitions");
    if (definitions.length > SIGNAL_COUNT_MAX)
      throw invalid("", "count", `${definitions.length} signals: the limit is ${SIGNAL_COUNT_MAX}`);
    this.kinds = definitions.map(kindOf).sort((a, b) => compareUtf8(a.name, b.name));
    const indexes = new Map<string, number>();
    for (const [index, { name }] of this.kinds.entries()) {
      if (indexes.has(name)) throw invalid(name, "duplicate", `${name} is defined twice`);
      indexes.set(name, index);
    }
    this.#indexes = indexes;
    this.digest = hasher.digest(HASH_CONTEXTS.signalSchema, this.encode());
  }

  /** Whether it names a signal. */
  has(name: string): name is Name {
    return this.#indexes.has(name);
  }

  /** The place of a signal in `kinds`, or `undefined`. */
  indexOf(name: string): number | undefined {
    return this.#indexes.get(name);
  }

  /** How a signal decays, or `undefined` if it is not named here. */
  decayOf(name: string): SignalDecay | undefined {
    const index = this.#indexes.get(name);
    return index === undefined ? undefined : this.kinds[index]?.decay;
  }

  /** The place of a signal. @throws {@link SignalError} `SIGNAL_UNKNOWN`. */
  require(name: string): number {
    const index = this.#indexes.get(name);
    if (index !== undefined) return index;
    throw new SignalError(
      "SIGNAL_UNKNOWN",
      `Cannot take the signal ${JSON.stringify(name)}: the schema has ${[...this.#indexes.keys()].join(", ") || "none"}`,
      { signal: name },
    );
  }

  /**
   * The canonical bytes: u8 version 1; varint count; each, ascending by name: name `text`; flags u8 (bit 0 velocity;
   * bits 1 and 2: 0 half-life, 1 linear, 2 permanent); span in milliseconds, varint (0 if permanent); windows u8
   * (1 `1h`, 2 `24h`, 4 `7d`, 8 `all`).
   */
  encode(): Uint8Array {
    const writer = new ByteWriter();
    writer.u8(VERSION);
    writer.varint(this.kinds.length);
    for (const { name, decay, windows, allTime, velocity } of this.kinds) {
      const [code, spanMs] = codeOf(decay);
      writer.text(name);
      writer.u8((velocity ? FLAG_VELOCITY : 0) | (code << DECAY_SHIFT));
      writer.varint(spanMs);
      writer.u8(
        windows.reduce((bits, window) => bits | (1 << WINDOWS.indexOf(window)), allTime ? WINDOW_BIT_ALL : 0),
      );
    }
    return writer.take();
  }

  /** The exact inverse of {@link SignalSchema.encode}. @throws CoreError `DECODE_FAILED`. */
  static decode(bytes: Uint8Array, hasher: Hasher = nobleHasher): SignalSchema {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a schema", 0);
    const definitions: SignalDefinition[] = [];
    for (let left = reader.count(4); left > 0; left--) {
      const at = reader.offset;
      const name = reader.text(SIGNAL_NAME_BYTES_MAX);
      const before = definitions.at(-1)?.name;
      if (before !== undefined && compareUtf8(before, name) >= 0)
        reader.fail("Cannot accept signals out of order", at);
      const flags = reader.u8();
      const decay = decayOf(flags >> DECAY_SHIFT, reader.varint());
      const bits = reader.u8();
      if (decay === undefined || bits > 0b1111) return reader.fail("Cannot accept this signal", at);
      const windows = WINDOWS.filter((_, bit) => (bits & (1 << bit)) !== 0);
      definitions.push({ name, ...decay, windows, velocity: (flags & FLAG_VELOCITY) !== 0 });
    }
    reader.finish();
    try {
      return new SignalSchema(definitions, hasher);
    } catch (error) {
      if (!(error instanceof SignalError)) throw error;
      return reader.fail(error.message, 0);
    }
  }
}

/** A schema whose signal names the compiler knows. @throws {@link SignalError} `SCHEMA_INVALID`. */
export function defineSignals<const Definitions extends readonly SignalDefinition[]>(
  definitions: Definitions,
  hasher: Hasher = nobleHasher,
): SignalSchema<Definitions[number]["name"]> {
  return new SignalSchema<Definitions[number]["name"]>(definitions, hasher);
}

function kindOf<Name extends string>(definition: SignalDefinition<Name>): SignalKind<Name> {
  const { name, windows = [], velocity = false } = definition;
  checkSignalName(name, () =>
    invalid(String(name), "name", `a name has 1 to ${SIGNAL_NAME_BYTES_MAX} bytes`),
  );
  const decay = decayOfDefinition(definition);
  for (const window of windows) {
    if (!WINDOWS.includes(window)) throw invalid(name, "windows", `a window is one of ${WINDOWS.join(", ")}`);
  }
  if (new Set(windows).size !== windows.length) throw invalid(name, "windows", "a window is there twice");
  if (windows.length === 0 && !("permanent" in decay))
    throw invalid(name, "windows", "a signal that fades needs a window");
  const finite = WINDOWS.filter(
    (window): window is FiniteWindow => window !== "all" && windows.includes(window),
  );
  if (velocity && finite.length === 0)
    throw invalid(name, "velocity", "velocity needs a window that is not all time");
  return { name, decay, windows: finite, allTime: windows.includes("all"), velocity };
}

function decayOfDefinition(definition: SignalDefinition): SignalDecay {
  const { name } = definition;
  const given = (["halfLifeMs", "linearMs", "permanent"] as const).filter((key) => key in definition);
  if (given.length !== 1)
    throw invalid(name, "decay", "exactly one of halfLifeMs, linearMs and permanent is given");
  if ("permanent" in definition) {
    if (definition.permanent !== true) throw invalid(name, "decay", "permanent is true or left out");
    return { permanent: true };
  }
  const spanMs = "halfLifeMs" in definition ? definition.halfLifeMs : definition.linearMs;
  if (!Number.isSafeInteger(spanMs) || spanMs < 1 || spanMs > HALF_LIFE_MS_MAX)
    throw invalid(name, "decay", `${given[0]} is an integer from 1 to 2^40-1, not ${spanMs}`);
  return "halfLifeMs" in definition ? { halfLifeMs: spanMs } : { linearMs: spanMs };
}

function codeOf(decay: SignalDecay): readonly [code: number, spanMs: number] {
  if ("halfLifeMs" in decay) return [0, decay.halfLifeMs];
  return "linearMs" in decay ? [1, decay.linearMs] : [2, 0];
}

function decayOf(code: number, spanMs: number): SignalDecay | undefined {
  if (code === 2) return spanMs === 0 ? { permanent: true } : undefined;
  if (code === 0) return { halfLifeMs: spanMs };
  return code === 1 ? { linearMs: spanMs } : undefined;
}

/** Throws what `refusal` makes unless a name has 1 to 128 bytes of UTF-8. */
export function checkSignalName(name: string, refusal: () => SignalError): void {
  if (typeof name !== "string" || name === "" || name.length > SIGNAL_NAME_BYTES_MAX) throw refusal();
  try {
    guardText(name, "name");
  } catch {
    throw refusal();
  }
  if (utf8.encode(name).length > SIGNAL_NAME_BYTES_MAX) throw refusal();
}

function invalid(signal: string, problem: SchemaProblem, why: string): SignalError {
  return new SignalError("SCHEMA_INVALID", `Cannot define the signal ${JSON.stringify(signal)}: ${why}`, {
    signal,
    problem,
  });
}
