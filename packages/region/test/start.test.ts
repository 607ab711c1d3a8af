import { expect, test } from "vitest";
import { Cluster } from "./cluster.ts";

test("RGN-1 a start waits for the acknowledgement it asks for, like any write", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout", ack: "all" });
  expect(west.sessions.get(session.id)?.state()).toMatchObject({ user: "ada", agent: "scout" });
});
