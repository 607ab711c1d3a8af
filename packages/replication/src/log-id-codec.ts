import { CHANNEL_CODE, channelOf, logId, type ByteReader, type ByteWriter, type LogId } from "@tidemark/core";

/** A log id as in a vector: region u16, shard u16, epoch u32, channel u8. */
export function writeLogId(writer: ByteWriter, id: LogId): void {
  writer.u16(id.region);
  writer.u16(id.shard);
  writer.u32(id.epoch);
  writer.u8(CHANNEL_CODE[id.channel]);
}

/** Reads what {@link writeLogId} wrote. @throws `CoreError` `DECODE_FAILED`. */
export function readLogId(reader: ByteReader): LogId {
  const [region, shard, epoch] = [reader.u16(), reader.u16(), reader.u32()];
  const channel = channelOf(reader.u8());
  if (channel === undefined) return reader.fail("Cannot read this channel", reader.offset - 1);
  return logId(region, shard, epoch, channel);
}
