import {
  type Checkpoint,
  type CheckpointPendingWrite,
  maxChannelVersion,
  TASKS,
} from "@langchain/langgraph-checkpoint";

/** Puts what was sent to tasks where checkpoints have it since format 4: in a channel, at the newest version there is. */
export function migratePendingSends(
  checkpoint: Checkpoint,
  parentWrites: readonly CheckpointPendingWrite[],
  firstVersion: number,
): void {
  const versions = Object.values(checkpoint.channel_versions);
  checkpoint.channel_values[TASKS] = parentWrites
    .filter(([, channel]) => channel === TASKS)
    .map(([, , value]) => value);
  checkpoint.channel_versions[TASKS] = versions.length > 0 ? maxChannelVersion(...versions) : firstVersion;
}
