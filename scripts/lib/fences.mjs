// Fenced code blocks of Markdown files and of docstrings.

/**
 * The fenced blocks of a Markdown text: `{ language, file, line, code }`, line of the first line of code, from 1.
 *
 * The second word behind the fence names the file the block is, where another block imports it.
 *
 * @param {string} markdown
 * @returns {{ language: string, file: string, line: number, code: string }[]}
 */
export function fencesOf(markdown) {
  const fences = [];
  let open;
  markdown.split("\n").forEach((text, index) => {
    const fence = /^(\s*)(`{3,})\s*(\S*)\s*(\S*)/.exec(text);
    if (open) {
      if (fence && fence[2].length >= open.ticks && fence[3] === "") {
        const { language, file, line, code } = open;
        fences.push({ language, file, line, code: `${code.join("\n")}\n` });
        open = undefined;
      } else open.code.push(text.slice(open.indent));
    } else if (fence) {
      const [, indent, ticks, language, file] = fence;
      open = { indent: indent.length, ticks: ticks.length, language, file, line: index + 2, code: [] };
    }
  });
  return fences;
}

/**
 * The `ts` fences behind an `@example` of a source text.
 *
 * @param {string} source
 * @returns {{ line: number, code: string }[]}
 */
export function docstringExamplesOf(source) {
  const examples = [];
  for (const comment of source.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
    const before = source.slice(0, comment.index).split("\n").length;
    const lines = comment[0].split("\n").map((line) => line.replace(/^\s*\*? ?/, ""));
    const start = lines.findIndex((line) => line.startsWith("@example"));
    if (start === -1) continue;
    for (const fence of fencesOf(lines.slice(start).join("\n"))) {
      if (fence.language === "ts") examples.push({ line: before + start + fence.line - 1, code: fence.code });
    }
  }
  return examples;
}

/**
 * What an example says it prints: the comments behind its `console.log` calls, in order.
 *
 * @param {string} code
 * @returns {string[]}
 */
export function printedBy(code) {
  return [...code.matchAll(/console\.log\(.*\);\s*\/\/ (.+)$/gm)].map((match) => match[1]);
}
