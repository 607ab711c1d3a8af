import { openRegion } from "@tidemark/region/node";
import type { Region } from "@tidemark/region";
import type { Transport } from "@tidemark/transport";

/** How one of the regions is opened, in whichever process. */
export interface MemberOptions {
  readonly name: string;
  readonly dir: string;
  readonly role: "member" | "follower";
  readonly clusterKey: Uint8Array;
  readonly transport: Transport;
}

const MEMBERS = { version: 1, regions: { "us-east": 1, "eu-west": 2, "ap-south": 3 } };

/** Opens one of the regions. */
export function openMember(options: MemberOptions): Promise<Region> {
  return openRegion({ ...options, members: MEMBERS, bootstrap: options.name === "us-east" });
}
