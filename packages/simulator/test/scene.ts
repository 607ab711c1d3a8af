import type { Region } from "@tidemark/region";
import { checkHistory, Client, converge, finalState, REGION_DIRECTORY, Watch, World } from "../src/index.ts";
import type { FinalState, Violation, WorldOptions } from "../src/index.ts";

/** A small world that is watched, and what its users do there step by step; judged in the end like any run. */
export class Scene implements Disposable {
  readonly world: World;

  private constructor(world: World) {
    this.world = world;
  }

  static async open(options: WorldOptions): Promise<Scene> {
    const regions = options.regions ?? ["east", "west"];
    const scene = new Scene(await World.open({ ...options, regions }));
    const { world } = scene;
    const watch = new Watch({ history: world.history, regions: () => scene.regions(), everySteps: 20 });
    world.time.afterStep(() => watch.afterStep());
    return scene;
  }

  regions(): Region[] {
    return [...this.world.machines.values()].flatMap(({ region }) => region ?? []);
  }

  region(name: string): Region {
    const { region } = this.world.machine(name);
    if (region === undefined) throw new Error(`${name} is down`);
    return region;
  }

  /** Someone at a region, who has started a session there unless it is known. */
  async client(user: string, region: string, session: string): Promise<Client> {
    const client = new Client(this.world, { name: `${user} in ${region}`, user, region });
    if (this.region(region).sessions.get(session) === undefined)
      await this.run(client.write({ operation: "start", session }));
    return client;
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.world.run(promise);
  }

  /** Lets time pass until something holds. */
  async until(holds: () => boolean): Promise<void> {
    for (let looks = 0; !holds(); looks++) {
      if (looks > 1_000) throw new Error(`It does not come to hold: ${holds.toString()}`);
      await this.world.time.advance(100);
    }
  }

  /** Writes a list of members, in one of the regions. */
  async members(by: string, version: number, names: readonly string[]): Promise<void> {
    const { history, machines } = this.world;
    history.members(version, names);
    const regions = Object.fromEntries(names.map((name) => [name, machines.get(name)!.id]));
    await this.run(this.region(by).setMembers({ version, regions }));
  }

  /** Waits until every region has everything. */
  async synced(): Promise<void> {
    await this.run(Promise.all(this.regions().map((region) => region.synced())));
  }

  /** Cuts every link between regions. */
  cut(): void {
    const names = [...this.world.machines.keys()];
    for (const from of names) for (const to of names) if (from !== to) this.world.network.cut(from, to);
  }

  /** Heals everything, and says what does not hold. */
  async end(): Promise<Violation[]> {
    const { world } = this;
    const { time, history, hasher } = world;
    await world.healAll();
    await converge({ time, history, regions: () => this.regions() });
    const finals: FinalState[] = [];
    for (const { region, disk } of world.machines.values()) {
      if (region === undefined) continue;
      const { files } = await disk.image();
      const inside = [...files].map(
        ([path, bytes]) => [path.slice(REGION_DIRECTORY.length + 1), bytes] as const,
      );
      finals.push(finalState(region, history.events, Object.fromEntries(inside)));
    }
    return checkHistory(history.events, finals, { hasher });
  }

  [Symbol.dispose](): void {
    this.world.end();
  }
}
