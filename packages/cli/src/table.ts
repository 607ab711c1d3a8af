import { stripVTControlCharacters } from "node:util";

/** Columns of text, as wide as they need to be; numbers to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => widthOf(row[column] ?? ""))),
  );
  const right = head.map((_, column) =>
    rows.every((row) => /^-?[\d.,]*( \w+)?$/.test(stripVTControlCharacters(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const room = " ".repeat((widths[column] ?? 0) - widthOf(cell));
        return right[column] === true && rows.length > 0 ? `${room}${cell}` : `${cell}${room}`;
      })
      .join("  ")
      .trimEnd();
  return `${[head, ...rows].map(line).join("\n")}\n`;
}

/** Names and values below each other. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}

function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}
