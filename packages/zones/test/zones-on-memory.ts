import { type MemoryKv, openMemoryKv } from "@tidemark/kv";
import { Zones, type ZonesOptions } from "../src/index.ts";

/** A clock that stands until it is told, and zones over a store in memory that go by it. */
export class World {
  nowMs: number = 1_790_000_000_000;
  readonly kv: MemoryKv = openMemoryKv({ nowMs: () => this.nowMs });
  readonly zones: Zones = this.open();

  /** Zones as another process has them. */
  open(options: Partial<ZonesOptions> = {}): Zones {
    return new Zones({ kv: this.kv, randomBytes: minted, ...options });
  }
}

let mintedCount = 0;

/** Bytes that no world got before, the same in each run. */
function minted(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  new DataView(bytes.buffer).setUint32(0, (mintedCount += 1));
  return bytes;
}

/** A snapshot in which a user said something. */
export function stateText(...said: readonly string[]): string {
  return JSON.stringify({ nodes: said.map((text) => ({ type: "user_message", text })) });
}
