import type { Lane } from "./lane-id.ts";
import type { SignalClear, StartClear } from "./op.ts";
import type { OpKind } from "./op-kinds.ts";
import type { OpRequest } from "./op-request.ts";
import type { OpView } from "./op-view.ts";
import type { PolicyGate, PolicyRefusal, PolicyWrite } from "./policy-gate.ts";
import type { QueuedOps } from "./queued-ops.ts";
import type { SessionFold } from "./session-fold.ts";

/** What a policy has to know of a request. */
interface Asked {
  readonly kind: OpKind;
  readonly policy?: string;
  readonly policyVersion?: number;
  readonly signal?: string;
}

/** Finds what a policy is asked about: what the session is bound to, and how much this region has accepted in it. */
export class AdmissionPolicies {
  readonly #fold: SessionFold;
  readonly #gate: PolicyGate;
  readonly #queued: QueuedOps<unknown>;

  constructor(fold: SessionFold, gate: PolicyGate, queued: QueuedOps<unknown>) {
    this.#fold = fold;
    this.#gate = gate;
    this.#queued = queued;
  }

  /** Why the session's policy does not let a write pass. */
  judge(session: string, asked: Asked | OpRequest): PolicyRefusal | undefined {
    const bound = this.#start(session) ?? policyOf(asked);
    // The hot path: a session under no policy.
    if (bound.policy === "") return undefined;
    const start = this.#fold.sessions.get(session)?.start;
    return this.#gate.judge({
      session,
      kind: asked.kind,
      signal: asked.kind === "signal" ? asked.signal : undefined,
      start: bound,
      startedAtMs: start?.position.stamp.wallMs ?? Number.POSITIVE_INFINITY,
      accepted: () => this.#acceptedHere(session),
    });
  }

  /** A write was accepted. */
  accepted(session: string, kind: OpKind): void {
    const start = this.#start(session);
    if (start !== undefined) this.#gate.accepted({ session, kind, start });
  }

  /** What the start of a session says, folded or queued. */
  #start(session: string): PolicyWrite["start"] | undefined {
    const known = this.#fold.sessions.get(session)?.start;
    if (known !== undefined) return known.clear;
    const draft = this.#queued.start(session);
    return draft === undefined ? undefined : (draft.fork?.clear ?? policyOf(draft.request));
  }

  /** Its own lanes and those of clients, less the start, and what is queued. */
  #acceptedHere(session: string): number {
    const entry = this.#fold.sessions.get(session);
    const highest = (text: string): number => entry?.lanes.find((lane) => lane.text === text)?.highest ?? 0;
    const here = ({ lane }: { readonly lane: Lane }): boolean =>
      "producer" in lane || lane.region === this.#gate.region;
    let count = this.#queued.waiting(session, highest);
    for (const lane of entry?.lanes ?? []) if (here(lane)) count += lane.size;
    const startedHere =
      entry?.start === undefined
        ? this.#queued.start(session) !== undefined
        : here(entry.start.position.lane);
    return startedHere ? count - 1 : count;
  }
}

function policyOf(asked: Asked | OpRequest | undefined): PolicyWrite["start"] {
  const { policy = "", policyVersion = 0 } = (asked ?? {}) as Partial<Asked>;
  return { policy, policyVersion };
}

/** What a client asks for with an operation that it has sealed. */
export function askedBy(op: OpView): Asked {
  const kind = op.kind as OpKind;
  if (kind === "start") return { kind, ...(op.clear as StartClear) };
  return kind === "signal" ? { kind, signal: (op.clear as SignalClear).signal } : { kind };
}
