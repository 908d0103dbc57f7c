// One WebSocket connection, from hello to its end. Who comes back, and when, is the watch's business.
import { judge } from "./wire.js";
import type { Body, Outcome } from "./retry.js";

/** What we need of a WebSocket: the browser's, Node's behind --experimental-websocket, ws. */
export interface Socket {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
}
export type SocketMaker = new (url: string) => Socket;

/** Silence after which we ask, and how long we then wait. A page does not see the server's pings. */
export const SILENCE_MS = 25_000;
export const PONG_MS = 10_000;
/** Open and hello together. */
export const HELLO_MS = 10_000;
const FRAME_BYTES = 16_000;
const CUT = 1006;

export class Link {
  #socket: Socket;
  #next = 1;
  #pending = new Map<number, (body: Body | undefined) => void>();
  #out: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  /** onClose is called once, also when the connection is cut from here. */
  constructor(make: SocketMaker, url: string,
    private readonly on: { open(): void; push(body: Body): void; late(answer: Body): void; close(code: number, reason: string): void }) {
    this.#socket = new make(url);
    this.#socket.onopen = () => on.open();
    this.#socket.onmessage = (event) => this.#read(event.data);
    // A close with its code follows; but not always where there was no connection yet (Node 20).
    this.#socket.onerror = () => this.#arm(100, () => this.cut());
    this.#socket.onclose = (event) => this.#end(event.code ?? CUT, event.reason ?? "");
    this.#arm(HELLO_MS, () => this.cut());
  }

  /** Sends a message and hands over each of its answers, until take says that was the last. undefined: the connection ended. */
  send(message: Body, take: (body: Body | undefined) => boolean): void {
    const id = this.#next++;
    this.#pending.set(id, (body) => { if (take(body) || !body) this.#pending.delete(id); });
    if (this.#over) return this.#pending.get(id)!(undefined);
    if (this.#out.push(JSON.stringify({ id, ...message })) === 1) queueMicrotask(() => this.#flush());
  }

  /** Sends a command; resolves once it is confirmed, refused or not to be decided here. */
  command(message: Body, preapproved: (body: Body) => void, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const abort = () => { done = true; reject(signal.reason); };
      let done = false;
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      this.send(message, (body) => {
        if (done) {
          // Nobody waits for it any more, but what it tells is not pushed as well.
          if (!body || body["code"] !== undefined) return true;
          if (body["durability"] === "preapproved") return false;
          this.on.late(body);
          return true;
        }
        try {
          const outcome: Outcome = body ? judge(body) : { kind: "again", code: "network", lost: true };
          if (outcome.kind === "answer" && outcome.body["durability"] === "preapproved") {
            preapproved(outcome.body);
            return false;
          }
          resolve(outcome);
        } catch (error) {
          reject(error);
        }
        signal.removeEventListener("abort", abort);
        return done = true;
      });
    });
  }

  /** Asks whether anybody is there, after which silence is the end. */
  ping(): void {
    this.send({ do: "ping" }, () => true);
    this.#arm(PONG_MS, () => this.cut());
  }

  close(): void { this.#end(1000, ""); }

  /** Ends it without waiting for the other side, who may be gone. */
  cut(): void { this.#end(CUT, "silence"); }

  #flush(): void {
    if (this.#over) return;
    for (let frame = ""; this.#out.length > 0; frame = "") {
      do {
        frame += (frame && "\n") + this.#out.shift();
      } while (this.#out.length > 0 && frame.length + this.#out[0]!.length < FRAME_BYTES);
      this.#socket.send(frame);
    }
  }

  #read(data: unknown): void {
    if (typeof data !== "string") return;
    for (const line of data.split("\n")) {
      if (this.#over || line.trim() === "") continue;
      let body: Body;
      try {
        body = JSON.parse(line);
        if (typeof body !== "object" || body === null) throw new TypeError();
      } catch {
        return this.cut();
      }
      if (typeof body["reply"] === "number") {
        const { reply, ...rest } = body;
        this.#pending.get(reply)?.(rest);
      } else {
        this.on.push(body);
      }
    }
    if (!this.#over) this.#arm(SILENCE_MS, () => this.ping());
  }

  #arm(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }

  #end(code: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close(1000);
    } catch {} // it was not open yet
    for (const take of [...this.#pending.values()]) take(undefined);
    this.#pending.clear();
    this.on.close(code, reason);
  }
}
