import type { Hasher } from "@tidemark/core";
import { type Kv, type KvItem, prefixRange } from "@tidemark/kv";
import {
  type AttachmentIntent,
  attachmentRecord,
  type AttachmentRow,
  decideIntent,
  decideStamp,
  mayGiveUp,
} from "./attachment-rows.ts";
import { nothing, runDecision, type View, viewOf } from "./decision.ts";
import { asSessionStoreError } from "./errors.ts";
import { sessionKeys, sessionPartition } from "./keys.ts";
import { heldGeneration, leaseRecord } from "./lease.ts";
import type { RecordContext } from "./records.ts";
import { scanAll } from "./scan-all.ts";
import { requireOpen, sessionGateRecord } from "./session-gate.ts";

/** The attachment rows of one session: steps of `attachment-rows.ts` made atomic. */
export class AttachmentTable {
  readonly #kv: Kv;
  readonly #place: RecordContext;
  readonly #session: string;

  constructor(kv: Kv, hasher: Hasher, session: string) {
    this.#kv = kv;
    this.#place = { partition: sessionPartition(session), hasher };
    this.#session = session;
  }

  /** The row of an attachment; `undefined` if the session holds none, was deleted, or never was. */
  async row(id: string): Promise<AttachmentRow | undefined> {
    const key = sessionKeys.attachment(id);
    try {
      const [gate, bytes] = await this.#kv.get(this.#place.partition, [sessionKeys.gate, key]);
      const { state } = sessionGateRecord.read(gate, sessionKeys.gate, this.#place) ?? { state: "deleted" };
      if (state === "deleted") return undefined;
      return attachmentRecord.read(bytes, key, this.#place);
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  /** All rows, in order of their ids. */
  async rows(): Promise<AttachmentRow[]> {
    const items = await scanAll(viewOf(this.#kv, this.#place.partition), prefixRange(["attachment"]));
    return items.map(({ key, value }) => this.#read(value, key));
  }

  /** Writes the row of an intent. */
  intend(intent: AttachmentIntent): Promise<AttachmentRow> {
    const key = sessionKeys.attachment(intent.id);
    const read = (view: View) => view.get([sessionKeys.gate, key]);
    return runDecision(this.#kv, this.#place.partition, read, ([gate, bytes], nowMs) => {
      this.#requireOpen(gate);
      const before = attachmentRecord.read(bytes, key, this.#place);
      const row = decideIntent(before, intent, nowMs);
      if (row === before) return nothing(row);
      const checks = [
        { key: sessionKeys.gate, value: gate },
        { key, value: bytes },
      ];
      return { checks, puts: [attachmentRecord.item(row, key, this.#place)], deletes: [], result: row };
    });
  }

  /** Stamps rows outside of a turn. @returns the ids that have no row. */
  stamp(ids: readonly string[]): Promise<readonly string[]> {
    const keys = ids.map((id) => sessionKeys.attachment(id));
    const read = (view: View) => view.get([sessionKeys.gate, ...keys]);
    return runDecision(this.#kv, this.#place.partition, read, ([gate, ...stored], nowMs) => {
      this.#requireOpen(gate);
      const rows = stored.map((bytes, index) => attachmentRecord.read(bytes, keys[index]!, this.#place));
      const { rows: stamped, unknown } = decideStamp(rows, ids, nowMs);
      const puts = stamped.map((row) => this.#item(row));
      const checks = keys.map((key, index) => ({ key, value: stored[index] }));
      return {
        checks: [{ key: sessionKeys.gate, value: gate }, ...checks],
        puts,
        deletes: [],
        result: unknown,
      };
    });
  }

  /** Removes a row. Fine if there is none. */
  forget(id: string): Promise<void> {
    const key = sessionKeys.attachment(id);
    const read = (view: View) => view.get([sessionKeys.gate, key]);
    return runDecision(this.#kv, this.#place.partition, read, ([gate, bytes]) => {
      this.#requireOpen(gate);
      if (bytes === undefined) return nothing(undefined);
      return {
        checks: [{ key: sessionKeys.gate, value: gate }],
        puts: [],
        deletes: [key],
        result: undefined,
      };
    });
  }

  /**
   * Removes the row of an intent that its writer gave up: uncommitted, recorded at or before `atMs`, and not under
   * the lease that is held now. Also in an archived session.
   *
   * @returns Whether it was removed.
   */
  giveUp(id: string, atMs: number): Promise<boolean> {
    const key = sessionKeys.attachment(id);
    const read = (view: View) => view.get([sessionKeys.lease, key]);
    return runDecision(this.#kv, this.#place.partition, read, ([lease, bytes], nowMs) => {
      const row = attachmentRecord.read(bytes, key, this.#place);
      const held = leaseRecord.read(lease, sessionKeys.lease, this.#place);
      if (!mayGiveUp(row, atMs, heldGeneration(held, nowMs))) return nothing(false);
      return { checks: [{ key, value: bytes }], puts: [], deletes: [key], result: true };
    });
  }

  #requireOpen(gate: Uint8Array | undefined): void {
    requireOpen(sessionGateRecord.read(gate, sessionKeys.gate, this.#place), this.#session);
  }

  #item(row: AttachmentRow): KvItem {
    return attachmentRecord.item(row, sessionKeys.attachment(row.id), this.#place);
  }

  #read(bytes: Uint8Array, key: Uint8Array): AttachmentRow {
    return attachmentRecord.read(bytes, key, this.#place)!;
  }
}
