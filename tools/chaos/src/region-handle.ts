import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { History } from "@tidemark/simulator";
import type { CallName, CrossedError, FromRegion, RegionCalls, RegionPlan, ToRegion } from "./protocol.ts";

const isSource = import.meta.url.endsWith(".ts");
const PROGRAM = fileURLToPath(new URL(`region-process.${isSource ? "ts" : "js"}`, import.meta.url));

/** A call to a process that is no more: it may or may not have been carried out. */
export class ProcessGone extends Error {
  override readonly name = "ProcessGone";
}

/** What a region's process answered with instead of a value. */
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

/** A region in a process that can be killed and started again over the same directory. */
export class RegionHandle implements AsyncDisposable {
  readonly #plan: RegionPlan;
  readonly #history: History;
  readonly #pending = new Map<number, Pending>();
  #child: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();
  #next = 0;
  #lives = 0;
  #isUp = false;
  #waiting: (() => void)[] = [];

  constructor(plan: RegionPlan, history: History) {
    this.#plan = plan;
    this.#history = history;
  }

  get name(): string {
    return this.#plan.name;
  }

  get dir(): string {
    return this.#plan.dir;
  }

  /** Which of its processes this is, from 1. */
  get life(): number {
    return this.#lives;
  }

  /** Whether it is open, as far as is known. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Resolves once it is open. */
  async whenUp(): Promise<void> {
    if (!this.#isUp) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Starts the process and opens its region. */
  async start(): Promise<void> {
    const child = fork(PROGRAM, [], {
      ...(isSource ? { cwd: fileURLToPath(new URL("..", import.meta.url)) } : {}),
      execArgv: isSource ? ["--conditions=@tidemark/source", "--import=tsx"] : [],
      env: { ...process.env, NODE_OPTIONS: "" },
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child = child;
    this.#lives += 1;
    child.on("message", (message) => this.#answered(message as FromRegion));
    this.#gone = new Promise((resolve) => {
      child.once("exit", () => {
        this.#child = undefined;
        this.#isUp = false;
        for (const { reject } of this.#pending.values())
          reject(new ProcessGone(`Region ${this.name} has ended`));
        this.#pending.clear();
        resolve();
      });
    });
    await this.call("open", this.#plan);
    this.#isUp = true;
    const { name, members } = this.#plan;
    this.#history.opened({ name, id: members.regions[name]!, life: this.#lives });
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** @throws ProcessGone if it dies before it answers. @throws CallFailed with the code it answered with. */
  call<Name extends CallName>(
    name: Name,
    ...args: Parameters<RegionCalls[Name]>
  ): ReturnType<RegionCalls[Name]> {
    const answer = new Promise<never>((resolve, reject) => {
      const child = this.#child;
      if (child === undefined || !child.connected)
        return reject(new ProcessGone(`Region ${this.name} is down`));
      const id = this.#next++;
      this.#pending.set(id, { resolve, reject });
      child.send({ id, call: name, args } satisfies ToRegion, () => {});
    });
    return answer as ReturnType<RegionCalls[Name]>;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.#isUp = false;
    this.#child?.kill("SIGKILL");
    await this.#gone;
  }

  /** Closes the region and ends its process. */
  async close(): Promise<void> {
    this.#isUp = false;
    await this.call("close");
    this.#child?.disconnect();
    await this.#gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #answered(message: FromRegion): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ("error" in message) pending?.reject(new CallFailed(message.error));
    else pending?.resolve(message.value as never);
  }
}
