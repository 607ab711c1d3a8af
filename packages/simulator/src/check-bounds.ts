import { REGION_DEFAULTS } from "@tidemark/region";
import type { Evidence } from "./evidence.ts";
import { Violation } from "./violation.ts";

/** H: queues and what is kept ahead of holes stay within their limits, and are empty once all is quiet. */
export function* checkBounds({ events, finals }: Evidence): Generator<Violation> {
  const { queueRecordsMax, queueBytesMax, receiveAheadBytes } = REGION_DEFAULTS;
  for (const event of events) {
    if (event.type !== "sample") continue;
    const limits = [
      ["records wait to be written", event.queueRecords, queueRecordsMax],
      ["bytes wait to be written", event.queueBytes, queueBytesMax],
      ["bytes are kept ahead of holes", event.receiveAheadBytes, receiveAheadBytes * event.receiving],
    ] as const;
    for (const [what, count, most] of limits)
      if (count > most)
        yield new Violation("H", `${count} ${what} in ${event.region}, at most ${most} may`, { event });
  }
  for (const { region, queueRecords } of finals)
    if (queueRecords > 0)
      yield new Violation("H", `${queueRecords} records wait to be written in ${region} in the end`, {
        region,
      });
}
