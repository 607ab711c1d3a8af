import { getHeapStatistics } from "node:v8";
import type { Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";
import type { FuzzTarget } from "./target.ts";

const BYTES_MAX = 4096;
const HEAP_PER_BYTE = 64;
const HEAP_SLACK_BYTES = 256 * 1024;
/** Array buffers hold bytes and nothing else. */
const BUFFER_PER_BYTE = 2;
const BUFFER_SLACK_BYTES = 192 * 1024;
/** Inputs between two looks at what ran: a look costs more than most inputs. */
const ROUND = 256;
/** Times that an input must cost too much. */
const ATTEMPTS = 4;
const INPUTS_KEPT = 3_000;
/** An input that takes this long is as good as a hang. */
const SLOW_MS = 2_000;

/** A broken promise, and what broke it. */
export class FuzzFailure extends Error {
  override readonly name = "FuzzFailure";
  readonly target: string;
  readonly input: Uint8Array;

  constructor(target: string, input: Uint8Array, cause: unknown) {
    super(`${target} breaks a promise: ${Buffer.from(input).toString("base64")}`, { cause });
    this.target = target;
    this.input = input;
  }
}

/** The fuzzing of one target: it can be gone on with. */
export class Fuzzing {
  /** Inputs tried. */
  tried: number = 0;
  readonly target: FuzzTarget;
  readonly #random: Random;
  readonly #coverage: Coverage | undefined;
  readonly #seen = new Set<string>();
  readonly #corpus: Uint8Array[] = [];
  #round: Uint8Array[] = [];

  /** Without coverage only what it begins with is mutated. */
  constructor(target: FuzzTarget, seed: number, coverage?: Coverage) {
    this.target = target;
    this.#random = new Random(seed);
    this.#coverage = coverage;
  }

  /** Inputs that ran something new. */
  get kept(): number {
    return this.#corpus.length;
  }

  /** Functions that ran, in each of their shapes. */
  get shapes(): number {
    return this.#seen.size;
  }

  /** Runs what there is to begin with. @throws {@link FuzzFailure}. */
  async begin(kept: readonly Uint8Array[]): Promise<void> {
    for (const input of [...(await this.target.seeds()), ...kept]) {
      await this.#try(input);
      this.#corpus.push(input);
    }
    if (this.#corpus.length === 0) throw new RangeError(`${this.target.name} has nothing to begin with`);
    for (const shape of this.#coverage?.look().shapes ?? []) this.#seen.add(shape);
  }

  /** Tries inputs until `done` says so. @throws {@link FuzzFailure}. */
  async go(done: () => boolean): Promise<void> {
    while (!done()) {
      const input = this.#next();
      await this.#try(input);
      if (this.#coverage === undefined) continue;
      this.#round.push(input);
      if (this.#round.length < ROUND) continue;
      const round = this.#round;
      this.#round = [];
      if (this.#isNew()) await this.#keepNew(round);
    }
  }

  /** Finds which inputs of a round ran what is new, by halves: each half is run again until one is alone. */
  async #keepNew(round: readonly Uint8Array[]): Promise<void> {
    const middle = Math.ceil(round.length / 2);
    for (const part of round.length === 1 ? [round] : [round.slice(0, middle), round.slice(middle)]) {
      for (const input of part) await this.#try(input);
      const [input] = part;
      if (part.length > 1) {
        if (this.#isNew()) await this.#keepNew(part);
      } else if (input !== undefined && this.#isNew(true)) {
        this.#corpus.push(input);
      }
    }
    if (this.#corpus.length > INPUTS_KEPT) this.#corpus.splice(this.#random.below(INPUTS_KEPT), 1);
  }

  #isNew(remember = false): boolean {
    let found = false;
    for (const shape of (this.#coverage as Coverage).look().shapes) {
      if (this.#seen.has(shape)) continue;
      found = true;
      if (remember) this.#seen.add(shape);
    }
    return found;
  }

  #next(): Uint8Array {
    const input = this.#random.pick(this.#corpus);
    const { mutate: own, bytesMax = BYTES_MAX } = this.target;
    if (own !== undefined && this.#random.below(3) > 0) return own(input, this.#random);
    return mutate(input, this.#random.pick(this.#corpus), this.#random, bytesMax);
  }

  async #try(input: Uint8Array): Promise<void> {
    let cost: string | undefined;
    // What is compiled or collected meanwhile counts too, but not every time.
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      cost = await this.#run(input);
      if (cost === undefined) return;
    }
    throw new FuzzFailure(this.target.name, input, new Error(`${input.length} bytes cost ${cost}`));
  }

  /** Runs an input once; returns what it cost if that is too much. */
  async #run(input: Uint8Array): Promise<string | undefined> {
    this.tried += 1;
    const { heapPerByte = HEAP_PER_BYTE } = this.target;
    const before = getHeapStatistics();
    const startedMs = performance.now();
    try {
      const running = this.target.run(input);
      if (running !== undefined) {
        // What others do meanwhile would count as well.
        await running;
        return undefined;
      }
    } catch (error) {
      throw new FuzzFailure(this.target.name, input, error);
    }
    const tookMs = performance.now() - startedMs;
    const after = getHeapStatistics();
    const heap = after.used_heap_size - before.used_heap_size;
    const buffers = after.external_memory - before.external_memory;
    if (tookMs > SLOW_MS) return `${Math.round(tookMs)} ms`;
    if (heap > HEAP_SLACK_BYTES + heapPerByte * input.length) return `${heap} bytes of heap`;
    if (buffers > BUFFER_SLACK_BYTES + BUFFER_PER_BYTE * input.length) return `${buffers} bytes of buffers`;
    return undefined;
  }
}
