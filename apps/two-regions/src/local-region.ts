import type { Certificate, OperationPosition, Region } from "@tidemark/region";
import type { Transport } from "@tidemark/transport";
import type { Model } from "./model.ts";
import type { Operation } from "./operation.ts";
import type { DriverHealth, KeptTicket, RegionDriver, ResumeWait, UserView } from "./region-driver.ts";
import { hiddenFrom, sessionsOf, viewOfRegion, viewOfSession } from "./region-view.ts";
import { submit, type Answer, type SubmitOptions } from "./submit.ts";
import type { SessionView, StateView } from "./view.ts";

/** Drives a region of this process. */
export class LocalRegion implements RegionDriver {
  readonly #region: Region;
  readonly #transport: Transport | undefined;

  /** @param transport - Closed with the region. */
  constructor(region: Region, transport?: Transport) {
    this.#region = region;
    this.#transport = transport;
  }

  get name(): string {
    return this.#region.name;
  }

  get role(): "member" | "follower" {
    return this.#region.role;
  }

  ready(timeoutMs: number): Promise<void> {
    return this.#region.ready({ timeoutMs });
  }

  submit(operation: Operation, options: SubmitOptions): Promise<Answer> {
    return submit(this.#region, operation, options);
  }

  async resume(user: string, ticket: string, wait: ResumeWait = {}): Promise<void> {
    await this.#region.users.resume(user, { ticket, ...wait });
  }

  async ticket(user: string): Promise<KeptTicket> {
    const ticket = this.#region.users.get(user).ticket();
    return { token: ticket.toString(), complete: ticket.complete };
  }

  async filterVisible(user: string, items: readonly string[]): Promise<readonly string[]> {
    return this.#region.users.get(user).filterVisible(items);
  }

  async withheld(user: string): Promise<number> {
    return this.#region.users.get(user).withheld();
  }

  async users(ids: readonly string[]): Promise<readonly UserView[]> {
    return ids.map((id) => ({
      hidden: hiddenFrom(this.#region, id),
      sessions: [...sessionsOf(this.#region, id)],
    }));
  }

  async sessions(ids: readonly string[]): Promise<readonly (SessionView | undefined)[]> {
    return ids.map((id) => viewOfSession(this.#region, id));
  }

  async health(): Promise<DriverHealth> {
    const { opsApplied, duplicates, unhidesPending, walSegments, durableLsn } = this.#region.health();
    const { signals, sessions } = durableLsn;
    return { opsApplied, duplicates, unhidesPending, walSegments, durableLsn: { signals, sessions } };
  }

  async certificate(): Promise<Certificate> {
    return this.#region.certificate();
  }

  async view(model: Model): Promise<StateView> {
    return viewOfRegion(this.#region, model);
  }

  onApplied(listener: (place: OperationPosition) => void): () => void {
    return this.#region.onChange(({ kind, position }) => {
      // Nobody is told the place of a start.
      if (kind !== "start") listener(position);
    });
  }

  async close(): Promise<void> {
    await this.#region.close();
    await this.#transport?.close();
  }
}
