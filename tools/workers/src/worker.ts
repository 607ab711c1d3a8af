import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answered, CallName, CrossedError, FromWorker, ToWorker, WorkerCalls } from "./protocol.ts";

const isSource = import.meta.url.endsWith(".ts");
const PROGRAM = fileURLToPath(new URL(`worker-process.${isSource ? "ts" : "js"}`, import.meta.url));

/** What a worker's process answered with instead of a value. */
export class CallFailed extends Error {
  override readonly name = "CallFailed";
  readonly code: string;

  constructor({ message, code = "" }: CrossedError) {
    super(message);
    this.code = code;
  }
}

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/** A worker in a process that can be stopped and woken. */
export class Worker implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  readonly #answered: (turn: Answered) => void;
  #next = 0;
  #stopping: (() => void)[] = [];

  /** @param answered - Is told of each turn that `work` commits. */
  constructor(answered: (turn: Answered) => void = () => {}) {
    this.#answered = answered;
    this.#child = fork(PROGRAM, [], {
      ...(isSource ? { cwd: fileURLToPath(new URL("..", import.meta.url)) } : {}),
      execArgv: isSource ? ["--conditions=@tidemark/source", "--import=tsx"] : [],
      env: { ...process.env, NODE_OPTIONS: "" },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (message) => this.#told(message as FromWorker));
    this.#gone = new Promise((resolve) => {
      this.#child.once("exit", () => {
        for (const { reject } of this.#pending.values()) reject(new Error("The worker has ended"));
        this.#pending.clear();
        resolve();
      });
    });
  }

  /** @throws CallFailed with the code it answered with. A call to a worker that is stopped is carried out when it wakes. */
  call<Name extends CallName>(
    name: Name,
    ...args: Parameters<WorkerCalls[Name]>
  ): ReturnType<WorkerCalls[Name]> {
    const answer = new Promise<never>((resolve, reject) => {
      const id = this.#next++;
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ id, call: name, args } satisfies ToWorker, () => {});
    });
    return answer as ReturnType<WorkerCalls[Name]>;
  }

  /**
   * Resolves when it is about to stop itself, which it does when its next step is decided and not yet written. Not in the
   * middle of a write: there it could hold a lock that everybody else waits for.
   */
  async stopBeforeWriting(): Promise<void> {
    const stopping = new Promise<void>((resolve) => this.#stopping.push(resolve));
    await this.call("stopBeforeWriting");
    await stopping;
  }

  /** SIGSTOP: it does nothing from here on, whatever it was about to do. */
  stop(): void {
    this.#child.kill("SIGSTOP");
  }

  /** SIGCONT. */
  wake(): void {
    this.#child.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone;
  }

  #told(message: FromWorker): void {
    if ("stopping" in message) {
      for (const resolve of this.#stopping.splice(0)) resolve();
      return;
    }
    if ("answered" in message) return this.#answered(message.answered);
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ("error" in message) pending?.reject(new CallFailed(message.error));
    else pending?.resolve(message.value as never);
  }
}
