// A module loader that changes sources as TIDEMARK_EDITS says: JSON, a list of { url, pattern, replacement }.
const edits = JSON.parse(process.env.TIDEMARK_EDITS ?? "[]");

/** @type {import("node:module").LoadHook} */
export async function load(url, context, next) {
  const loaded = await next(url, context);
  const wanted = edits.filter((edit) => edit.url === url.split("?")[0]);
  if (wanted.length === 0) return loaded;
  let source = Buffer.from(loaded.source).toString();
  for (const { pattern, replacement } of wanted) {
    if (!source.includes(pattern)) throw new Error(`${url} does not have this text:\n${pattern}`);
    source = source.replace(pattern, () => replacement);
  }
  return { ...loaded, source };
}
