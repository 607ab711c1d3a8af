/** What is kept of a frame that could not be used. */
export interface PoisonEvidence {
  readonly subject: string;
  readonly reason: string;
  readonly atMs: number;
  /** Length of the whole frame. */
  readonly bytes: number;
  /** Its first bytes. */
  readonly head: Uint8Array;
}

/** What was refused so far. */
export interface PoisonReport {
  readonly total: number;
  readonly byReason: ReadonlyMap<string, number>;
  /** Subjects whose last frame was of a version this one does not know. */
  readonly unknownVersion: readonly string[];
  /** Subjects whose last frames, at least as many as the limit, all failed. */
  readonly quarantined: readonly string[];
  /** The newest frames of quarantined subjects, bounded. */
  readonly evidence: readonly PoisonEvidence[];
}

const EVIDENCE_FRAMES_MAX = 16;
const REASONS_MAX = 64;

/**
 * Counts frames that failed and keeps bounded evidence of a source that keeps failing.
 *
 * A quarantined subject is still read: a good frame ends the quarantine, so one bad sender, or an attacker
 * on the medium, cannot silence a link.
 */
export class PoisonBox {
  #total: number = 0;
  readonly #framesMax: number;
  readonly #evidenceBytes: number;
  readonly #byReason: Map<string, number> = new Map();
  readonly #failing: Map<string, number> = new Map();
  readonly #evidence: PoisonEvidence[] = [];
  readonly #unknownVersion: Set<string> = new Set();

  constructor(options: { readonly poisonFramesMax: number; readonly poisonEvidenceBytes: number }) {
    this.#framesMax = options.poisonFramesMax;
    this.#evidenceBytes = options.poisonEvidenceBytes;
  }

  /** Counts a failed frame. @returns true when this one began a quarantine. */
  refuse(now: number, subject: string, reason: string, frame: Uint8Array): boolean {
    this.#total += 1;
    if (this.#byReason.has(reason) || this.#byReason.size < REASONS_MAX) {
      this.#byReason.set(reason, (this.#byReason.get(reason) ?? 0) + 1);
    }
    if (reason === "version") this.#unknownVersion.add(subject);
    else this.#unknownVersion.delete(subject);
    const failing = (this.#failing.get(subject) ?? 0) + 1;
    this.#failing.set(subject, failing);
    if (failing < this.#framesMax) return false;
    if (this.#evidence.length === EVIDENCE_FRAMES_MAX) this.#evidence.shift();
    const head = frame.slice(0, this.#evidenceBytes);
    this.#evidence.push({ subject, reason, atMs: now, bytes: frame.length, head });
    return failing === this.#framesMax;
  }

  /** A frame of the subject was good. @returns true when this ended a quarantine. */
  accept(subject: string): boolean {
    const failing = this.#failing.get(subject);
    if (failing === undefined) return false;
    this.#failing.delete(subject);
    this.#unknownVersion.delete(subject);
    return failing >= this.#framesMax;
  }

  report(): PoisonReport {
    const quarantined = [...this.#failing].filter(([, count]) => count >= this.#framesMax);
    return {
      total: this.#total,
      byReason: new Map(this.#byReason),
      unknownVersion: [...this.#unknownVersion].toSorted(),
      quarantined: quarantined.map(([subject]) => subject).toSorted(),
      evidence: [...this.#evidence],
    };
  }
}
