import type { Certificate, OperationPosition } from "@tidemark/region";
import type { Model } from "./model.ts";
import type { Operation } from "./operation.ts";
import type { Answer, SubmitOptions } from "./submit.ts";
import type { SessionView, StateView } from "./view.ts";

/** A ticket as a device keeps it: the text alone, and whether it stands without the region that minted it. */
export interface KeptTicket {
  readonly token: string;
  readonly complete: boolean;
}

/** How long a ticket may be waited for. */
export interface ResumeWait {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What the run wants to know of a region's health. */
export interface DriverHealth {
  readonly opsApplied: number;
  readonly duplicates: number;
  readonly unhidesPending: number;
  readonly walSegments: number;
  readonly durableLsn: { readonly signals: number; readonly sessions: number };
}

/** A user as a region has them. */
export interface UserView {
  readonly hidden: readonly string[];
  readonly sessions: readonly string[];
}

/**
 * A region as the player drives it, wherever it runs: in this process or in one of its own. What goes in and comes out
 * is plain data, and every call may be made again: a driver whose region was killed repeats what was not answered.
 */
export interface RegionDriver {
  readonly name: string;
  readonly role: "member" | "follower";
  /** Waits until the region has joined the others and caught up with them. */
  ready(timeoutMs: number): Promise<void>;
  submit(operation: Operation, options: SubmitOptions): Promise<Answer>;
  /** Hands in a user's ticket. */
  resume(user: string, ticket: string, wait?: ResumeWait): Promise<void>;
  /** Takes the ticket of what a user has seen here. */
  ticket(user: string): Promise<KeptTicket>;
  /** The items that may be shown to a user. */
  filterVisible(user: string, items: readonly string[]): Promise<readonly string[]>;
  withheld(user: string): Promise<number>;
  users(ids: readonly string[]): Promise<readonly UserView[]>;
  sessions(ids: readonly string[]): Promise<readonly (SessionView | undefined)[]>;
  health(): Promise<DriverHealth>;
  certificate(): Promise<Certificate>;
  /** The region as a state. The recording only says whom to ask for. */
  view(model: Model): Promise<StateView>;
  /** Called with the place of each operation that has one, once the region has applied it. Returns how to stop it. */
  onApplied(listener: (place: OperationPosition) => void): () => void;
  /** `kill -9` in the middle of what it does, then opens it again over its directory; left out without a process. */
  readonly kill?: () => Promise<void>;
  close(): Promise<void>;
}

/** Three regions under the player's hand: two that are written to, and a follower of both. */
export interface Cluster {
  readonly network: Network;
  readonly regions: readonly RegionDriver[];
  close(): Promise<void>;
}

/** The part of a network that the link needs. */
export interface Network {
  /** Cuts a region off from all others. */
  cut(region: string): void;
  heal(): void;
}
