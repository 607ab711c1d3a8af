/** A stream as the broker's API and its command-line tools take it. */
export interface NatsStreamJson {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: "limits";
  readonly discard: "new";
  readonly storage: "file";
  readonly num_replicas: number;
  readonly max_bytes: number;
  readonly max_msgs: -1;
  readonly max_age: 0;
  readonly duplicate_window: number;
}

/** What one region may do, and no more. */
export interface NatsRightsJson {
  readonly region: number;
  /** For the option of that name of `openNatsTransport`. */
  readonly inboxPrefix: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** It may answer whoever asks it, so often and so long. */
  readonly allowResponses: { readonly max: number; readonly expires: string };
}

/** What `provision nats --json` prints. */
export interface ProvisionNatsJson {
  readonly broker: "nats";
  readonly prefix: string;
  readonly streams: readonly NatsStreamJson[];
  readonly rights: readonly NatsRightsJson[];
}

/** What an operator of NATS is asked for. */
export interface NatsPlan {
  readonly prefix: string;
  /** Ids of the regions. */
  readonly regions: readonly number[];
  readonly replicas: number;
}

const CHANNELS = ["sessions", "signals"];
const STREAM_BYTES = 256 * 1024 * 1024;
const DUPLICATE_WINDOW_NS = 120 * 1_000_000_000;

/** Streams and rights for regions that bind to what is there: written down here, so that the command needs no client. */
export function planNats({ prefix, regions, replicas }: NatsPlan): ProvisionNatsJson {
  const streamsOf = (region: number): string[] => CHANNELS.map((channel) => `${prefix}+${channel}+${region}`);
  const streams = CHANNELS.flatMap((channel) =>
    regions.map((region) => ({
      name: `${prefix}+${channel}+${region}`,
      subjects: [`${prefix}.${channel}.${region}.>`],
      retention: "limits" as const,
      discard: "new" as const,
      storage: "file" as const,
      num_replicas: replicas,
      max_bytes: STREAM_BYTES,
      max_msgs: -1 as const,
      max_age: 0 as const,
      duplicate_window: DUPLICATE_WINDOW_NS,
    })),
  );
  const rights = regions.map((region) => {
    const others = regions.filter((other) => other !== region);
    const own = streamsOf(region);
    const theirs = others.flatMap(streamsOf);
    const inboxPrefix = `_INBOX_${region}`;
    return {
      region,
      inboxPrefix,
      publish: [
        ...CHANNELS.map((channel) => `${prefix}.${channel}.${region}.>`),
        `${prefix}.+live.ack.${region}`,
        ...others.map((other) => `${prefix}.+ask.inbox.${other}`),
        ...own.map((stream) => `$JS.API.STREAM.INFO.${stream}`),
        ...own.map((stream) => `$JS.API.STREAM.MSG.GET.${stream}`),
        ...own.map((stream) => `$JS.API.STREAM.PURGE.${stream}`),
        ...theirs.map((stream) => `$JS.API.STREAM.INFO.${stream}`),
        ...theirs.map((stream) => `$JS.API.CONSUMER.CREATE.${stream}.>`),
        ...theirs.map((stream) => `$JS.API.CONSUMER.DELETE.${stream}.*`),
        ...theirs.map((stream) => `$JS.FC.${stream}.>`),
      ],
      subscribe: [
        `${inboxPrefix}.>`,
        `${prefix}.+ask.inbox.${region}`,
        ...others.flatMap((other) => [
          `${prefix}.+live.ack.${other}`,
          ...CHANNELS.map((channel) => `${prefix}.+live.${channel}.${other}.>`),
        ]),
      ],
      allowResponses: { max: 1000, expires: "1m" },
    };
  });
  return { broker: "nats", prefix, streams, rights };
}

/** The same for a person: the streams one a line, the rights as nats-server's configuration takes them. */
export function formatNats({ streams, rights }: ProvisionNatsJson): string {
  const list = (subjects: readonly string[]): string =>
    subjects.map((subject) => `    ${JSON.stringify(subject)}\n`).join("");
  return [
    "# Streams: each line is a file for `nats stream add --config FILE`\n",
    ...streams.map((stream) => `${JSON.stringify(stream)}\n`),
    ...rights.map(
      ({ region, inboxPrefix, publish, subscribe, allowResponses: { max, expires } }) =>
        `\n# Region ${region}, opened with inboxPrefix: "${inboxPrefix}" and provision: "bind"\n` +
        `permissions: {\n  publish: { allow: [\n${list(publish)}  ] }\n` +
        `  subscribe: { allow: [\n${list(subscribe)}  ] }\n` +
        `  allow_responses: { max: ${max}, expires: "${expires}" }\n}\n`,
    ),
  ].join("");
}
