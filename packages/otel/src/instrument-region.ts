import type { BatchObservableCallback, Meter, Observable } from "@opentelemetry/api";
import { REGION_INSTRUMENTS } from "@tidemark/region";
import type { Region } from "@tidemark/region";

/**
 * Exports a region's metrics with a meter of OpenTelemetry: observable instruments, drawn once whenever a reader
 * collects; nothing runs in between.
 *
 * Several regions may use one meter: the attribute `region` tells them apart.
 *
 * @returns Ends it for this region. A closed region reads as `closed` until then.
 */
export function instrumentRegion(meter: Meter, region: Region): () => void {
  const observables = REGION_INSTRUMENTS.map(({ name, kind, unit, help: description }): Observable => {
    const options = { unit, description };
    return kind === "counter"
      ? meter.createObservableCounter(name, options)
      : meter.createObservableGauge(name, options);
  });
  const observe: BatchObservableCallback = (result) => {
    const metrics = region.metrics();
    REGION_INSTRUMENTS.forEach(({ read }, index) => {
      for (const { value, labels } of read(metrics))
        result.observe(observables[index] as Observable, value, { ...labels });
    });
  };
  meter.addBatchObservableCallback(observe, observables);
  return () => meter.removeBatchObservableCallback(observe, observables);
}
