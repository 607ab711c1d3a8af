/** Which numbers of which lanes went by. Lanes have no holes for long, so a lane takes a range or two. */
export class SeenNumbers {
  readonly #lanes: Map<string, [first: number, last: number][]> = new Map();

  /** Notes a number; false if it was noted before. */
  add(lane: string, seqno: number): boolean {
    let ranges = this.#lanes.get(lane);
    if (ranges === undefined) this.#lanes.set(lane, (ranges = []));
    // From the end: most numbers are the next one.
    let at = ranges.length;
    while (at > 0 && (ranges[at - 1] as [number, number])[0] > seqno) at -= 1;
    const before = ranges[at - 1];
    if (before !== undefined && seqno <= before[1]) return false;
    const after = ranges[at];
    const joinsAfter = after !== undefined && seqno + 1 === after[0];
    if (before !== undefined && before[1] + 1 === seqno) {
      before[1] = joinsAfter ? after[1] : seqno;
      if (joinsAfter) ranges.splice(at, 1);
    } else if (joinsAfter) after[0] = seqno;
    else ranges.splice(at, 0, [seqno, seqno]);
    return true;
  }
}
