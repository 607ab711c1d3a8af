/** How frames fare between two endpoints, one way. */
export interface Link {
  cut: boolean;
  latencyMs: number;
}

/** Every one-way link that differs from the default. */
export class Links {
  readonly #links: Map<string, Link> = new Map();
  readonly #latencyMs: number;

  constructor(latencyMs: number) {
    this.#latencyMs = latencyMs;
  }

  /** The link as it is; never made by looking at it. */
  of(from: string, to: string): Readonly<Link> {
    return this.#links.get(key(from, to)) ?? { cut: false, latencyMs: this.#latencyMs };
  }

  change(from: string, to: string, change: Partial<Link>): void {
    this.#links.set(key(from, to), { ...this.of(from, to), ...change });
  }

  /** Names at the other end of a cut link of `name`, in either direction. */
  cutFrom(name: string): string[] {
    const names = new Set<string>();
    for (const [pair, { cut }] of this.#links) {
      const [from, to] = JSON.parse(pair) as [string, string];
      if (!cut || from === to) continue;
      if (from === name) names.add(to);
      if (to === name) names.add(from);
    }
    return [...names].sort();
  }

  /** Both ends of every cut link. */
  cutPairs(): [string, string][] {
    return [...this.#links].filter(([, { cut }]) => cut).map(([pair]) => JSON.parse(pair) as [string, string]);
  }
}

function key(from: string, to: string): string {
  return JSON.stringify([from, to]);
}
