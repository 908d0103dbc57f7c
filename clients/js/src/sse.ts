// Server-sent events read from a fetch, because an EventSource cannot send a token.

export interface ServerEvent { id: string; event: string; data: string }

/** Reads the stream to its end. heard is called for every chunk, comments too. */
export async function* events(stream: ReadableStream<Uint8Array>, heard: () => void): AsyncGenerator<ServerEvent> {
  const reader = stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "", id = "", event = "", data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // an event without its empty line is not whole
      heard();
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { id, event: event || "message", data: data.join("\n") };
          event = "", data = [];
          continue;
        }
        const [, field, text] = /^([^:]*)(?:: ?(.*))?$/.exec(line)!;
        if (field === "id") id = text ?? "";
        else if (field === "event") event = text ?? "";
        else if (field === "data") data.push(text ?? "");
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
