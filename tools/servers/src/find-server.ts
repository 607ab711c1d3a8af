import { delimiter, join } from "node:path";
import { unpackDebian, type DebianPackages } from "./debian-packages.ts";
import { ServerUnavailableError } from "./errors.ts";
import { CACHE, executable, findProgram, librariesIn, type ServerBinary } from "./program-files.ts";

export type ServerKind = "nats" | "redis";
/** `installed`: what this machine has or its distribution offers; the others are for the matrix of versions. */
export type ServerRelease = "installed" | "nats-2.10" | "nats-newest" | "valkey";

const REDIS_LIBRARIES = [
  "libatomic1",
  "libhiredis0.14",
  "libjemalloc2",
  "liblua5.1-0",
  "liblzf1",
  "lua-bitop",
  "lua-cjson",
];

const KINDS: Readonly<
  Record<ServerKind, { env: string; names: readonly string[]; packages: readonly string[]; get: string }>
> = {
  nats: {
    env: "NATS_SERVER_BIN",
    names: ["nats-server"],
    packages: ["nats-server"],
    get: "install nats-server, or set NATS_SERVER_BIN to its path or NATS_URL to a running one",
  },
  redis: {
    env: "REDIS_SERVER_BIN",
    names: ["redis-server", "valkey-server"],
    packages: ["redis-server", "redis-tools", ...REDIS_LIBRARIES],
    get: "install redis-server or valkey-server, or set REDIS_SERVER_BIN to its path or REDIS_URL to a running one",
  },
};

const RELEASES: Readonly<Record<Exclude<ServerRelease, "installed">, DebianPackages>> = {
  "nats-2.10": { suite: "trixie", packages: ["nats-server"] },
  "nats-newest": { suite: "sid", packages: ["nats-server"] },
  valkey: {
    suite: "bookworm-backports",
    packages: ["valkey-server", "valkey-tools"],
  },
};

/**
 * Finds a server: named by an environment variable, else on this machine, else unpacked from the distribution's packages
 * into a folder that git ignores, without root. Found once, it is remembered.
 *
 * @throws {@link ServerUnavailableError} with one line that says how to get one.
 */
export function findServer(kind: ServerKind, release: ServerRelease = "installed"): Promise<ServerBinary> {
  const key = `${kind} ${release}`;
  let found = FOUND.get(key);
  if (found === undefined) FOUND.set(key, (found = find(kind, release)));
  return found;
}

const FOUND = new Map<string, Promise<ServerBinary>>();

async function find(kind: ServerKind, release: ServerRelease): Promise<ServerBinary> {
  const { env, names, packages, get } = KINDS[kind];
  if (release === "installed") {
    const path = findProgram(env, names);
    if (path !== undefined) return { path, env: {} };
  }
  const wanted = release === "installed" ? { packages } : RELEASES[release];
  const folder = await unpackDebian(CACHE, wanted);
  // A server of another suite runs with the libraries of this one.
  const libraries =
    release === "valkey" ? await unpackDebian(CACHE, { packages: REDIS_LIBRARIES }) : undefined;
  for (const name of names) {
    for (const inside of ["usr/sbin", "usr/bin"]) {
      const path = folder === undefined ? undefined : join(folder, inside, name);
      if (path === undefined || !executable(path)) continue;
      const paths = [folder, libraries].flatMap((each) => (each === undefined ? [] : librariesIn(each)));
      return { path, env: paths.length === 0 ? {} : { LD_LIBRARY_PATH: paths.join(delimiter) } };
    }
  }
  throw new ServerUnavailableError(
    `No ${release === "installed" ? kind : release} server can be had here: ${get}`,
  );
}
