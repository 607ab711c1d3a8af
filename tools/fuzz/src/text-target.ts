import { bytesOf, type FuzzTarget } from "./target.ts";

/** What {@link textTarget} needs. */
export interface TextTarget<Value> {
  readonly name: string;
  readonly seeds: readonly string[];
  /** `undefined` for whatever is no such text. */
  readonly parse: (text: string) => Value | undefined;
  /** The inverse. */
  readonly format: (value: Value) => string;
}

/** A target that is the parser of a name: it never throws, and what it reads is written as it was. */
export function textTarget<Value>({ name, seeds, parse, format }: TextTarget<Value>): FuzzTarget {
  return {
    name,
    seeds: () => seeds.map(bytesOf),
    bytesMax: 256,
    run: (input) => {
      const text = new TextDecoder().decode(input);
      const value = parse(text);
      if (value !== undefined && format(value) !== text)
        throw new Error(`${JSON.stringify(text)} is read as ${format(value)}`);
    },
  };
}
