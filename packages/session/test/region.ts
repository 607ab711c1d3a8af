import { ByteWriter, HlcClock, type LogId, logId, nobleHasher } from "@tidemark/core";
import {
  type Admission,
  FOLD_VERSION,
  type OpDraft,
  type OpRequest,
  SessionAdmission,
  SessionFold,
  type SessionFoldOptions,
} from "../src/index.ts";
import { CLUSTER_ID } from "./history.ts";

/** One region as far as sessions go: a fold, an admission, a clock, and a log that can be shipped. */
export class TestRegion {
  readonly id: number;
  nowMs: number;
  readonly fold: SessionFold;
  readonly clock: HlcClock;
  readonly admission: SessionAdmission<string>;
  readonly records: Uint8Array[] = [];
  log: LogId;
  readonly #shipped: Map<TestRegion, number> = new Map();

  constructor(id: number, nowMs: number = 1_790_000_000_000, options: Partial<SessionFoldOptions> = {}) {
    this.id = id;
    this.fold = new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID, ...options });
    this.nowMs = nowMs;
    this.clock = new HlcClock({ clockId: id, now: () => this.nowMs });
    this.admission = new SessionAdmission({ fold: this.fold, clock: this.clock });
    this.log = logId(id, 0, 1, "sessions");
  }

  /** Admits and, if it is accepted, writes and folds. */
  write(session: string, request: OpRequest, operationId?: string): Admission<string> {
    const answer = this.admission.admit(session, request, operationId);
    if (answer.type === "accepted") this.commit([answer.draft]);
    return answer;
  }

  /** Encodes drafts as one batch. */
  encode(drafts: readonly OpDraft<string>[]): Uint8Array[] {
    return drafts.map((draft) => {
      const writer = new ByteWriter();
      draft.encode(writer, { region: this.id, epoch: this.log.epoch }, this.clock.tick());
      return writer.take();
    });
  }

  commit(drafts: readonly OpDraft<string>[]): void {
    for (const bytes of this.encode(drafts)) this.append(bytes);
    for (const draft of drafts) draft.settle(true);
  }

  append(bytes: Uint8Array): void {
    this.records.push(bytes);
    this.fold.apply(bytes, this.log, this.records.length);
  }

  /** Applies what `from` has written since the last time. */
  receive(from: TestRegion): void {
    for (let lsn = from.#shipped.get(this) ?? 0; lsn < from.records.length; lsn++) {
      this.fold.apply(from.records[lsn]!, from.log, lsn + 1);
    }
    from.#shipped.set(this, from.records.length);
  }
}

/** A session that every region knows. */
export function started(regions: readonly TestRegion[], session: string = "s", user: string = "ann"): void {
  regions[0]!.write(session, { kind: "start", user, agent: "shopper" });
  exchange(regions);
}

/** Everything reaches everybody. */
export function exchange(regions: readonly TestRegion[]): void {
  for (const to of regions) for (const from of regions) if (to !== from) to.receive(from);
}

/** Everybody hears that everything written so far is everywhere. */
export function settle(regions: readonly TestRegion[], foldVersionMin: number = FOLD_VERSION): void {
  exchange(regions);
  const lsns = new Map(regions.map((region) => [region.id, region.records.length]));
  for (const { fold } of regions) fold.stable({ lsnOf: (log) => lsns.get(log.region) ?? 0, foldVersionMin });
}
