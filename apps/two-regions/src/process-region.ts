import type { ChildProcess } from "node:child_process";
import type { Certificate, OperationPosition } from "@tidemark/region";
import { forkProgram } from "./fork-program.ts";
import type { Model } from "./model.ts";
import type { Operation } from "./operation.ts";
import type { DriverHealth, KeptTicket, RegionDriver, ResumeWait, UserView } from "./region-driver.ts";
import {
  arrived,
  type CallName,
  type FromRegion,
  type ProcessPlan,
  type RegionCalls,
  type ToRegion,
} from "./region-protocol.ts";
import { snapshotOf } from "./snapshot.ts";
import type { Answer, SubmitOptions } from "./submit.ts";
import type { SessionView, StateView } from "./view.ts";

interface Pending {
  readonly call: CallName;
  readonly args: readonly unknown[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Whether a process that was killed had been asked already. */
  isSent: boolean;
  isRepeated: boolean;
}

interface CallOptions {
  readonly signal?: AbortSignal;
  /** Called if the answer is that of a second process. */
  readonly onRepeat?: () => void;
}

const EXIT_MS = 10_000;

/** Drives a region in a process of its own, which can be killed and opened again. */
export class ProcessRegion implements RegionDriver {
  readonly #plan: ProcessPlan;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(place: OperationPosition) => void>();
  #next = 0;
  #child: ChildProcess | undefined;
  /** Whether the process has its region open. */
  #isOpen = false;
  #gone: Promise<void> = Promise.resolve();
  #failure: Error | undefined;

  constructor(plan: ProcessPlan) {
    this.#plan = plan;
  }

  get name(): string {
    return this.#plan.name;
  }

  get role(): "member" | "follower" {
    return this.#plan.role;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the process and opens its region; what was not answered is asked again. */
  async open(): Promise<void> {
    this.#start();
    try {
      await this.#call("open", [this.#plan]);
    } catch (error) {
      this.#fail(error as Error);
      throw error;
    }
    this.#isOpen = true;
    for (const [id, pending] of this.#pending) this.#send(id, pending);
  }

  /** Waits until the region has joined and caught up. */
  ready(timeoutMs: number): Promise<void> {
    return this.#call("ready", [timeoutMs]);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#isOpen = false;
    child?.kill("SIGKILL");
    await this.#gone;
    await this.open();
  }

  /** Closes the region and ends its process. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const timer = setTimeout(() => child.kill("SIGKILL"), EXIT_MS);
    try {
      if (this.#isOpen) await this.#call("close", []);
    } catch {
      // It is gone, or what it could not close is: either way there is nothing left to do for it.
    } finally {
      this.#child = undefined;
      if (child.connected) child.disconnect();
      await this.#gone;
      clearTimeout(timer);
    }
  }

  async submit(operation: Operation, options: SubmitOptions): Promise<Answer> {
    let isRepeated = false;
    const answer = await this.#call("submit", [operation, options], { onRepeat: () => (isRepeated = true) });
    return isRepeated ? { ...answer, isRepeated } : answer;
  }

  resume(user: string, ticket: string, { signal, ...wait }: ResumeWait = {}): Promise<void> {
    return this.#call("resume", [user, ticket, wait], signal === undefined ? {} : { signal });
  }

  ticket(user: string): Promise<KeptTicket> {
    return this.#call("ticket", [user]);
  }

  filterVisible(user: string, items: readonly string[]): Promise<readonly string[]> {
    return this.#call("filterVisible", [user, items]);
  }

  withheld(user: string): Promise<number> {
    return this.#call("withheld", [user]);
  }

  users(ids: readonly string[]): Promise<readonly UserView[]> {
    return this.#call("users", [ids]);
  }

  sessions(ids: readonly string[]): Promise<readonly (SessionView | undefined)[]> {
    return this.#call("sessions", [ids]);
  }

  health(): Promise<DriverHealth> {
    return this.#call("health", []);
  }

  certificate(): Promise<Certificate> {
    return this.#call("certificate", []);
  }

  view(model: Model): Promise<StateView> {
    return snapshotOf(this, model);
  }

  onApplied(listener: (place: OperationPosition) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #start(): void {
    const child = forkProgram("region-process");
    this.#child = child;
    this.#gone = new Promise((resolve) => {
      const end = (why: string): void => {
        resolve();
        if (this.#child !== child) return;
        this.#child = undefined;
        this.#fail(new Error(`The process of ${this.name} ended: ${why}`));
      };
      child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
      child.once("error", (error) => end(error.message));
    });
    child.on("message", (message) => {
      if (this.#child === child) this.#receive(message as FromRegion);
    });
  }

  #receive(message: FromRegion): void {
    if ("applied" in message) {
      for (const place of message.applied) for (const listener of this.#listeners) listener(place);
      return;
    }
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    if ("error" in message) pending.reject(arrived(message.error));
    else pending.resolve(message.value);
  }

  #call<Name extends CallName>(
    call: Name,
    args: Parameters<RegionCalls[Name]>,
    options?: CallOptions,
  ): ReturnType<RegionCalls[Name]>;
  #call(call: CallName, args: readonly unknown[], { signal, onRepeat }: CallOptions = {}): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#pending.delete(id);
        if (this.#isOpen) this.#post({ abort: id });
        reject(signal?.reason as Error);
      };
      const settle =
        <Value>(by: (value: Value) => void) =>
        (value: Value): void => {
          signal?.removeEventListener("abort", abort);
          if (pending.isRepeated) onRepeat?.();
          by(value);
        };
      const pending: Pending = {
        call,
        args,
        resolve: settle(resolve),
        reject: settle(reject),
        isSent: false,
        isRepeated: false,
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#pending.set(id, pending);
      if (this.#isOpen || call === "open") this.#send(id, pending);
    });
  }

  #send(id: number, pending: Pending): void {
    pending.isRepeated ||= pending.isSent;
    pending.isSent = true;
    this.#post({ id, call: pending.call, args: pending.args });
  }

  #post(message: ToRegion): void {
    // A process that has just ended says so by its exit.
    this.#child?.send(message, () => {});
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const [id, { reject }] of this.#pending) {
      this.#pending.delete(id);
      reject(this.#failure);
    }
  }
}
