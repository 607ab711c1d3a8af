import type {
  Checkpoint,
  CheckpointMetadata,
  CheckpointPendingWrite,
  SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import { LangGraphError } from "./errors.ts";
import type { StoredValue } from "./stored-value.ts";
import type { CheckpointRows, ThreadRows } from "./thread-rows.ts";
import { inRunOrder } from "./writes-record.ts";

const ATTEMPTS_MAX = 4;

/** A checkpoint as LangGraph sees it. */
export interface LoadedRows {
  readonly namespace: string;
  readonly id: string;
  readonly parent: string | undefined;
  readonly checkpoint: Checkpoint;
  readonly metadata: CheckpointMetadata;
  readonly pendingWrites: CheckpointPendingWrite[];
}

/** What a {@link TupleReader} is made of. */
export interface TupleReaderOptions {
  readonly rows: ThreadRows;
  readonly serde: SerializerProtocol;
  readonly threadId: string;
  /** Whether what is missing may be on its way from another region. */
  readonly merges: boolean;
}

/** Reads the values that rows name, and makes of them what was put. */
export class TupleReader {
  readonly #options: TupleReaderOptions;

  constructor(options: TupleReaderOptions) {
    this.#options = options;
  }

  /** The metadata alone; `undefined` if the thread was deleted meanwhile. */
  async metadata(rows: CheckpointRows): Promise<CheckpointMetadata | undefined> {
    const [metadata] = (await this.values(rows, ({ record }) => [record.metadata]))?.values ?? [];
    return metadata as CheckpointMetadata | undefined;
  }

  /** Checkpoint, metadata and writes; `undefined` if the thread was deleted meanwhile. */
  async load(rows: CheckpointRows): Promise<LoadedRows | undefined> {
    const loaded = await this.values(rows, ({ record, writes }) => [
      record.checkpoint,
      record.metadata,
      ...record.channels.map(({ value }) => value),
      ...inRunOrder(writes).map(({ write }) => write.value),
    ]);
    if (loaded === undefined) return undefined;
    const { rows: read, values } = loaded;
    const { record, namespace, id } = read;
    const [checkpoint, metadata, ...further] = values;
    const channels = record.channels.map(({ channel }, index) => [channel, further[index]] as const);
    const pendingWrites = inRunOrder(read.writes).map(({ task, write }, index): CheckpointPendingWrite => [
      task,
      write.channel,
      further[channels.length + index],
    ]);
    return {
      namespace,
      id,
      parent: record.parent,
      checkpoint: { ...(checkpoint as Checkpoint), channel_values: Object.fromEntries(channels) },
      metadata: metadata as CheckpointMetadata,
      pendingWrites,
    };
  }

  /**
   * Values of a checkpoint, and its rows as they were when the values were there; `undefined` if the thread was
   * deleted meanwhile.
   *
   * @throws `LangGraphError` `LANGGRAPH_VALUE_MISSING`
   */
  async values(
    rows: CheckpointRows,
    choose: (rows: CheckpointRows) => readonly StoredValue[],
  ): Promise<{ rows: CheckpointRows; values: unknown[] } | undefined> {
    const { namespace, id } = rows;
    const { rows: thread, serde, threadId, merges } = this.#options;
    let current: CheckpointRows | undefined = rows;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const chosen = choose(current);
      const read = await thread.values(current.record.life, chosen);
      if (read.found !== undefined) {
        const { found } = read;
        const values = chosen.map(({ type }, index) => serde.loadsTyped(type, found[index]!));
        return { rows: current, values: await Promise.all(values) };
      }
      if (read.reason === "deleted") return undefined;
      // The thread may have been deleted and made anew since the rows were read.
      current = await thread.checkpoint(namespace, id);
      if (current === undefined) return undefined;
    }
    throw new LangGraphError(
      "LANGGRAPH_VALUE_MISSING",
      `Cannot read checkpoint ${id} of thread ${threadId}: a value it names is not in the store`,
      { thread: threadId, checkpoint: id, retryable: merges },
    );
  }
}
