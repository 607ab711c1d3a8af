/** A place where so many wait for one another. */
export interface Meeting {
  /** Resolves once all have come. */
  arrive(): Promise<void>;
}

/** A meeting of `count`; who comes later does not wait. */
export function meeting(count: number): Meeting {
  let missing = count;
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  return {
    arrive() {
      missing -= 1;
      if (missing <= 0) begin();
      return begun;
    },
  };
}
