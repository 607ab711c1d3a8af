/** Which directions a change of links touches. */
export interface LinkChangeOptions {
  /** Only from the first to the second. @defaultValue false: both ways */
  readonly oneWay?: boolean;
}

/** How an in-process network behaves. */
export interface InProcessNetworkOptions {
  /** Decides which frames are lost, doubled and reordered, and the cluster key. @defaultValue 1, and a random key */
  readonly seed?: number;
  /** Time on every link, in milliseconds. @defaultValue 0: frames arrive on a microtask */
  readonly latencyMs?: number;
  /** Share of frames lost, 0 to 1. Requests and answers are frames. @defaultValue 0 */
  readonly lossRate?: number;
  /** Share of frames that arrive twice, 0 to 1. @defaultValue 0 */
  readonly duplicateRate?: number;
  /** Share of frames that the next one on the same link and subject overtakes, 0 to 1. @defaultValue 0 */
  readonly reorderRate?: number;
  /**
   * Frames a subscription holds for a slow reader, a link holds in flight on a subject, and requests a
   * service has running. Beyond it a frame is dropped there alone, and counted. A function tunes it by subject.
   *
   * @defaultValue 256
   */
  readonly queueFramesMax?: number | ((subject: string) => number);
  /** The largest frame, request or answer, in bytes. @defaultValue 1 MiB */
  readonly frameBytesMax?: number;
  /** Time, for latency and deadlines; returns how to cancel. @defaultValue `setTimeout` */
  readonly setTimer?: (ms: number, run: () => void) => () => void;
  /** Runs something in a later turn of the event loop. @defaultValue `setImmediate`, else a `MessageChannel` */
  readonly defer?: (run: () => void) => void;
}
