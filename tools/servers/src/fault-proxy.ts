import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Where a {@link FaultProxy} leads. */
export interface FaultProxyOptions {
  /** The port behind it. */
  readonly target: number;
  /** Where that port is. @defaultValue loopback */
  readonly host?: string;
  /** @defaultValue a free one */
  readonly port?: number;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** One direction of a link: what the near side sends, or what comes back to it. */
export type LinkDirection = "outbound" | "inbound";

/** What happens to the bytes. */
type Mode = "pass" | "cut" | "stall";

/** Bytes a stalled connection holds before it stops reading; nothing is thrown away. */
const SLOW_TICK_MS = 20;

/** A TCP proxy on loopback whose link can be cut, stalled, slowed or left half open, and healed. */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #target: number;
  readonly #host: string;
  readonly #pairs = new Set<Pair>();
  #mode: Mode = "pass";
  #stalled: LinkDirection | undefined;
  #bytesPerSecond = Number.POSITIVE_INFINITY;

  constructor(server: Server, target: number, host: string) {
    this.#server = server;
    this.#target = target;
    this.#host = host;
    server.on("connection", (near) => this.#accept(near));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that exist now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Ends every connection and refuses new ones. */
  cut(): void {
    this.#mode = "cut";
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /**
   * Passes nothing on and closes nothing: a link that has gone silent.
   *
   * @param direction - Only this one; the other goes on, or goes on again. Without it both are silent.
   */
  stall(direction?: LinkDirection): void {
    this.#mode = "stall";
    this.#stalled = direction;
    for (const pair of this.#pairs) this.#pause(pair);
  }

  /** The far side goes away and the near side is not told. */
  halfOpen(): void {
    this.#mode = "stall";
    this.#stalled = undefined;
    for (const pair of this.#pairs) {
      this.#pause(pair);
      pair.far.removeAllListeners("close");
      pair.far.destroy();
    }
  }

  /** Passes at most so many bytes a second, in each direction of each connection. */
  slow(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Everything as it was; connections whose other side is gone end. */
  heal(): void {
    this.#mode = "pass";
    this.#bytesPerSecond = Number.POSITIVE_INFINITY;
    for (const { near, far } of this.#pairs) {
      if (near.destroyed || far.destroyed) {
        near.destroy();
        far.destroy();
      } else {
        near.resume();
        far.resume();
      }
    }
  }

  async close(): Promise<void> {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(near: Socket): void {
    if (this.#mode === "cut") {
      near.destroy();
      return;
    }
    const far = connect(this.#target, this.#host);
    const pair = { near, far };
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", end);
    }
    this.#join(near, far, "outbound");
    this.#join(far, near, "inbound");
    if (this.#mode === "stall") this.#pause(pair);
  }

  #join(from: Socket, to: Socket, direction: LinkDirection): void {
    from.on("data", (bytes: Buffer) => {
      const flushed = to.write(bytes);
      const pauseMs =
        this.#bytesPerSecond === Number.POSITIVE_INFINITY
          ? 0
          : Math.max(SLOW_TICK_MS, (bytes.length * 1_000) / this.#bytesPerSecond);
      if (flushed && pauseMs === 0) return;
      from.pause();
      const resume = (): void => {
        if (this.#passes(direction)) from.resume();
      };
      if (pauseMs > 0) setTimeout(resume, pauseMs).unref();
      else to.once("drain", resume);
    });
  }

  #pause({ near, far }: Pair): void {
    for (const [socket, direction] of [
      [near, "outbound"],
      [far, "inbound"],
    ] as const) {
      if (this.#passes(direction)) socket.resume();
      else socket.pause();
    }
  }

  #passes(direction: LinkDirection): boolean {
    return this.#mode === "pass" || (this.#stalled !== undefined && this.#stalled !== direction);
  }
}

/** Opens a proxy in front of a port. */
export function openFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    const { target, host = "127.0.0.1", port = 0 } = options;
    server.listen(port, "127.0.0.1", () => resolve(new FaultProxy(server, target, host)));
  });
}
