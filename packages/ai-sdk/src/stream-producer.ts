import { StreamLogError, type StreamWriter } from "@tidemark/live";

/**
 * Writes what a source gives to a stream, to its end, whether anybody reads it or not; never rejects. The source is
 * cancelled when somebody cancelled the stream, or nobody will read what is written.
 *
 * @param textOf - The text of a chunk.
 * @param shown - What readers are told of an error.
 */
export async function pipeToStream<Chunk>(
  writer: StreamWriter,
  source: () => ReadableStream<Chunk> | PromiseLike<ReadableStream<Chunk>>,
  textOf: (chunk: Chunk) => string,
  shown: (error: unknown) => string,
): Promise<void> {
  let reader: ReadableStreamDefaultReader<Chunk> | undefined;
  const stop = (): void => void reader?.cancel(writer.signal.reason).catch(() => undefined);
  writer.signal.addEventListener("abort", stop);
  try {
    reader = (await source()).getReader();
    if (writer.signal.aborted) stop();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      await writer.write(textOf(value));
    }
    await writer.close();
  } catch (error) {
    reader?.cancel(error).catch(() => undefined);
    // A writer that may not write has said so to its readers, or has none.
    await writer.fail(shown(error)).catch((failure: unknown) => {
      if (!(failure instanceof StreamLogError)) throw failure;
    });
  } finally {
    writer.signal.removeEventListener("abort", stop);
  }
}
