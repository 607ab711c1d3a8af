// A broker's protocol written by hand: what a client could reach at most. Only as much of it as publishing takes.
import { connect } from "node:net";

/**
 * A socket that keeps `window` messages in flight and counts what is acknowledged.
 *
 * @param options.hello - Sent first; `ready` tells the line that answers it.
 * @param options.heard - Told every later line: true for an acknowledgement, an error to give up, a string to answer.
 */
export async function openRaw(port, { hello, ready, heard }) {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  let onLine = () => undefined;
  let fail = () => undefined;
  let rest = "";
  socket.on("data", (chunk) => {
    const lines = (rest + chunk.toString("latin1")).split("\r\n");
    rest = lines.pop();
    for (const line of lines) onLine(line);
  });
  await new Promise((resolve, reject) => {
    fail = reject;
    onLine = (line) => {
      if (ready(line)) resolve();
    };
    socket.on("error", (error) => fail(error));
    socket.on("close", () => fail(new Error("The broker closed the raw connection")));
    socket.write(hello);
  });
  return {
    /** Sends `count` messages, each `head`, a frame, and the end of a line; resolves once the last is acknowledged. */
    send: (head, frames, count, window) =>
      new Promise((resolve, reject) => {
        fail = reject;
        let [sent, acknowledged] = [0, 0];
        const pump = () => {
          socket.cork();
          for (; sent < count && sent - acknowledged < window; sent++) {
            socket.write(head);
            socket.write(frames[sent % frames.length]);
            socket.write("\r\n");
          }
          socket.uncork();
        };
        onLine = (line) => {
          const verdict = heard(line);
          if (verdict instanceof Error) reject(verdict);
          else if (typeof verdict === "string") socket.write(verdict);
          else if (verdict) {
            acknowledged += 1;
            if (acknowledged === count) resolve();
            // In halves of the window, so that several leave in one write.
            else if (sent - acknowledged <= window >> 1) pump();
          }
        };
        pump();
      }),
    close: () => {
      fail = () => undefined;
      socket.destroy();
    },
  };
}
