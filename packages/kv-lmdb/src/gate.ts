import { KvError } from "@tidemark/kv";
import { open } from "lmdb";
import { failureOf } from "./failure.ts";
import { removeFile, shortPause } from "./node/platform.ts";

/** An environment below what lmdb makes of it. */
interface NativeEnvironment {
  open(options: Readonly<Record<string, unknown>>, flags: number, jsFlags: number): number;
  beginTxn(flags: number): void;
  /** 0 if no transaction was begun: lmdb does not look at what LMDB answers to a begin. */
  getWriteTxnId(): number;
  abortTxn(): void;
  close(): void;
}

const NO_SUBDIR = 0x4000;
const ABORTABLE = 3;
const KEY_BYTES = 2_048;

/** How often, and with which pauses, the gate is tried while others close it. */
const ATTEMPTS_MAX = 400;
const PAUSE_MS_MAX = 10;

let nativeClass: (new () => NativeEnvironment) | undefined;

/**
 * Where all handles and processes that share a store go one at a time, and a process that is killed inside lets the next
 * one in: the lock of writers of an environment that holds nothing.
 *
 * The environment of the store needs it twice. LMDB keeps the number of the last transaction in shared memory, and whoever
 * opens an environment sets that number, without a lock, to what it read before: a commit in between is taken back for
 * all who begin after it, and the next one is written over it. And whoever closes it last destroys its locks, also for
 * those who begin to open it at that moment. So nobody opens or closes while somebody commits or opens.
 *
 * In the gate itself nothing is ever committed, so that its number cannot be wrong; and who finds its locks destroyed opens
 * it anew. That is why it is opened below lmdb, which does not let go of an environment that it could not open.
 */
export class Gate {
  readonly #environment: NativeEnvironment;

  private constructor(environment: NativeEnvironment) {
    this.#environment = environment;
  }

  /** @throws KvError `KV_UNAVAILABLE` if it is not to be had within about two seconds. */
  static async open(path: string): Promise<Gate> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const environment = openEnvironment(path);
      environment.beginTxn(ABORTABLE);
      const begun = environment.getWriteTxnId() !== 0;
      // Also if none was begun: else `close` waits for its end.
      environment.abortTxn();
      if (begun) return new Gate(environment);
      environment.close();
      await shortPause(PAUSE_MS_MAX);
    }
    throw new KvError("KV_UNAVAILABLE", `Cannot open ${path}: its locks are gone`, { committed: "no" });
  }

  /** Runs `work` while nobody else is inside. */
  alone<Result>(work: () => Result): Result {
    this.#environment.beginTxn(ABORTABLE);
    try {
      if (this.#environment.getWriteTxnId() === 0) throw new Error("the lock cannot be taken");
      return work();
    } finally {
      this.#environment.abortTxn();
    }
  }

  close(): void {
    this.#environment.close();
  }
}

function openEnvironment(path: string): NativeEnvironment {
  const environment = new (nativeClass ??= classOfEnvironments())();
  const options = { path, keyBytes: new Uint8Array(KEY_BYTES), mapSize: 1 << 20, maxDbs: 1, maxReaders: 1 };
  try {
    environment.open(options, NO_SUBDIR, 0);
  } catch (cause) {
    throw failureOf(`open ${path}`, cause, "no");
  }
  return environment;
}

/** lmdb tells of the class only through an environment: one without a path is a temporary file, gone when it is closed. */
function classOfEnvironments(): new () => NativeEnvironment {
  const temporary = open({});
  const { env, path } = temporary as unknown as { readonly env: object; readonly path: string };
  void temporary.close();
  removeFile(`${path}-lock`);
  return env.constructor as new () => NativeEnvironment;
}
