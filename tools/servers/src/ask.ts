import { once } from "node:events";
import { connect } from "node:net";

/** Sends a line to a port of this machine and resolves with what comes back first. */
export async function ask(port: number, line: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    if (line !== "") socket.write(line);
    const [bytes] = (await once(socket, "data")) as [Buffer];
    return bytes.toString();
  } finally {
    socket.destroy();
  }
}
