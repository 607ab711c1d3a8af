import * as fs from "node:fs";
import { mkdir, open, readFile, readdir, rename, stat, unlink } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { WalError } from "./errors.ts";
import type { WalFile, WalFileMode, WalFs, WalLock } from "./file-system.ts";
import type { Timers } from "./timers.ts";

const FLAGS: Readonly<Record<WalFileMode, string>> = { create: "wx+", write: "r+", read: "r" };
const read = promisify(fs.read);
const write = promisify(fs.write);
const fdatasync = promisify(fs.fdatasync);
const ftruncate = promisify(fs.ftruncate);
const fstat = promisify(fs.fstat);
const close = promisify(fs.close);
const openFile = promisify(fs.open);

/**
 * The file system of Node.
 *
 * The lock is a local socket bound per directory: it goes with its process, however that ends, and tells who asks
 * which process it is. Containers that share a volume but not a network namespace do not see each other's; the
 * epoch rules catch that.
 */
export function nodeFs(): WalFs {
  return {
    mkdir: async (path) => {
      await mkdir(path, { recursive: true });
    },
    list: async (path) => (await ignoreMissing(readdir(path))) ?? [],
    open: async (path, mode) => nodeFile(await openFile(path, FLAGS[mode])),
    readFile: async (path) => {
      const bytes = await ignoreMissing(readFile(path));
      return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    rename,
    unlink: async (path) => {
      await ignoreMissing(unlink(path));
    },
    syncDir,
    kindOf: async (path) => {
      const found = await ignoreMissing(stat(path));
      return found && (found.isDirectory() ? "directory" : "file");
    },
    lock: lockDirectory,
    holderOf: async (dir) => {
      const endpoint = await ignoreMissing(endpointOf(dir));
      return endpoint === undefined ? undefined : askHolder(endpoint);
    },
  };
}

/** Timers of Node. */
export function nodeTimers(): Timers {
  return {
    now: () => performance.now(),
    setTimer: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
}

function nodeFile(descriptor: number): WalFile {
  let closing: Promise<void> | undefined;
  return {
    size: async () => (await fstat(descriptor)).size,
    read: async (into, position) => (await read(descriptor, into, 0, into.length, position)).bytesRead,
    readNow: (into, position) => fs.readSync(descriptor, into, 0, into.length, position),
    write: (bytes, position) => fs.writeSync(descriptor, bytes, 0, bytes.length, position),
    writeAsync: async (bytes, position) =>
      (await write(descriptor, bytes, 0, bytes.length, position)).bytesWritten,
    sync: () => fdatasync(descriptor),
    syncNow: () => fs.fdatasyncSync(descriptor),
    truncate: (bytes) => ftruncate(descriptor, bytes),
    close: () => (closing ??= close(descriptor)),
  };
}

async function syncDir(path: string): Promise<void> {
  // Windows cannot open a directory; its file system journals names by itself.
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function lockDirectory(dir: string): Promise<WalLock> {
  const endpoint = await endpointOf(dir);
  for (let attempt = 0; ; attempt++) {
    const server = await listen(
      endpoint,
      JSON.stringify({ pid: process.pid, argv: process.argv.slice(0, 2), dir }),
    );
    if (server !== undefined)
      return { release: () => new Promise((resolve) => server.close(() => resolve())) };
    const holder = await askHolder(endpoint);
    if (holder === undefined && attempt < 3) {
      // Nobody answers: it has just gone, or left a socket file behind.
      if (endpoint.startsWith("/")) await ignoreMissing(unlink(endpoint));
      continue;
    }
    const name = holder ?? "a process that does not answer";
    throw new WalError("WAL_LOCKED", `Cannot open ${dir}: ${name} holds it`, {
      holder: name,
      retryable: true,
    });
  }
}

/** Device and inode name a directory whatever path leads to it. */
async function endpointOf(dir: string): Promise<string> {
  const { dev, ino } = await stat(dir, { bigint: true });
  const name = `tidemark-wal-${dev.toString(16)}-${ino.toString(16)}`;
  if (process.platform === "linux") return `\0${name}`;
  return process.platform === "win32" ? `\\\\.\\pipe\\${name}` : `${tmpdir()}/${name}.sock`;
}

/** Binds the endpoint; `undefined` if somebody has. */
function listen(endpoint: string, answer: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end(answer);
    });
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined);
      else reject(error);
    });
    // Exclusive: a cluster worker must not share the socket of its siblings.
    server.listen({ path: endpoint, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** What the holder says of itself; `undefined` if there is none. */
function askHolder(endpoint: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const socket = createConnection({ path: endpoint });
    socket.setEncoding("utf8");
    socket.setTimeout(1000, () => {
      socket.destroy();
      resolve("a process that does not answer");
    });
    socket.on("data", (part) => (text += String(part)));
    socket.on("error", () => resolve(undefined));
    socket.on("end", () => resolve(describeHolder(text)));
  });
}

function describeHolder(text: string): string {
  try {
    const holder: unknown = JSON.parse(text);
    if (typeof holder === "object" && holder !== null && "pid" in holder)
      return `process ${String(holder.pid)}`;
  } catch {
    // Not ours: said as it is.
  }
  return `an unknown process (${text.slice(0, 80)})`;
}

async function ignoreMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
