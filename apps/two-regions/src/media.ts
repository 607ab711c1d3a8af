import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { clusterKeyIn, openBroker, prefixOf } from "./broker.ts";
import { REGION_NAMES } from "./link.ts";
import { LocalRegion } from "./local-region.ts";
import { openMember, type MemberOptions } from "./member.ts";
import { ProcessRegion } from "./process-region.ts";
import type { Network, RegionDriver } from "./region-driver.ts";
import { FRAME_BYTES_MAX, openTransport, type BrokerName } from "./transports.ts";

/** What joins the regions. */
export interface Medium {
  readonly network: Network;
  open(member: Omit<MemberOptions, "clusterKey" | "transport">): Promise<RegionDriver>;
  close(): Promise<void>;
}

/** Regions of this process, joined in its memory. */
export function inProcessMedium(): Medium {
  const network = createInProcessNetwork({ frameBytesMax: FRAME_BYTES_MAX });
  const { clusterKey } = network;
  return {
    network: {
      cut: (region) => {
        for (const other of REGION_NAMES) if (other !== region) network.cut(region, other);
      },
      heal: () => network.heal(),
    },
    open: async (member) =>
      new LocalRegion(await openMember({ ...member, clusterKey, transport: network.join(member.name) })),
    close: () => network.close(),
  };
}

/** Regions joined by a broker, each of them in a process of its own if so wished. */
export async function brokerMedium(options: {
  readonly transport: BrokerName;
  /** Left out, a broker is started. */
  readonly url: string | undefined;
  readonly processes: boolean;
  /** Keeps the key of the cluster. */
  readonly dir: string;
}): Promise<Medium> {
  const { transport: broker, url, processes, dir } = options;
  const { urls, network, close } = await openBroker(broker, url);
  const clusterKey = clusterKeyIn(dir);
  const prefix = prefixOf(clusterKey);
  return {
    network,
    close,
    open: async (member) => {
      const address = { url: urls[(REGION_NAMES as readonly string[]).indexOf(member.name)]!, prefix };
      if (processes) {
        const region = new ProcessRegion({ ...member, ...address, clusterKey, broker });
        await region.open();
        return region;
      }
      const transport = await openTransport(broker, { ...address, region: member.name });
      return new LocalRegion(await openMember({ ...member, clusterKey, transport }), transport);
    },
  };
}
