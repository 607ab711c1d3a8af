import { Link } from "./link.ts";
import type { LinkOptions } from "./link.ts";
import { linkSeed } from "./random.ts";

interface NamedLink {
  readonly from: string;
  readonly to: string;
  readonly link: Link;
}

/** The links of a network, each made on first use. */
export class Links {
  readonly #options: LinkOptions;
  readonly #links: Map<string, Map<string, NamedLink>> = new Map();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  of(from: string, to: string): Link {
    let row = this.#links.get(from);
    if (row === undefined) this.#links.set(from, (row = new Map()));
    let named = row.get(to);
    if (named === undefined) {
      const seed = linkSeed(this.#options.seed, from, to);
      row.set(to, (named = { from, to, link: new Link({ ...this.#options, seed }) }));
    }
    return named.link;
  }

  /** Both directions, or only the first. */
  between(from: string, to: string, oneWay: boolean = false): Link[] {
    if (from === to) throw new RangeError(`Cannot touch the link from ${from} to itself`);
    return oneWay ? [this.of(from, to)] : [this.of(from, to), this.of(to, from)];
  }

  /** Every link made so far, of one endpoint if a name is given. */
  all(name?: string): NamedLink[] {
    return [...this.#links.values()]
      .flatMap((row) => [...row.values()])
      .filter(({ from, to }) => name === undefined || from === name || to === name);
  }

  /** Which links of an endpoint are cut, for a person; undefined if none is. */
  cutsOf(name: string): string | undefined {
    const cut = this.all(name).filter(({ link }) => link.cut);
    const to = new Set(cut.filter(({ from }) => from === name).map((one) => one.to));
    const from = new Set(cut.filter((one) => one.to === name).map((one) => one.from));
    const phrases = [...new Set([...to, ...from])].sort().map((peer) => {
      if (to.has(peer) && from.has(peer)) return `the link with ${peer} is cut`;
      return to.has(peer) ? `the link to ${peer} is cut` : `the link from ${peer} is cut`;
    });
    return phrases.length === 0 ? undefined : phrases.join(", ");
  }
}
