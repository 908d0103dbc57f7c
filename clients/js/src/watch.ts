// A watch: what one person holds and waits for, kept true over connections that come and go.
import { Link, SILENCE_MS, PONG_MS, type SocketMaker } from "./link.js";
import { backoff, sleep, type Body } from "./retry.js";
import { events } from "./sse.js";
import { HoldfastError, type ClaimAnswer, type Counts, type Cursor, type Opening, type PoolAnswer, type Row } from "./types.js";
import { claimsOf } from "./wire.js";

/** What changed of a person's standings, confirmed. */
export interface Change {
  /** Rows that are new or replace what was known of their pool; released ones too. */
  changed: Row[];
  /** Pools of which there is nothing any more: the log is another one. */
  gone: string[];
  /** All standings as they are now, by pool. */
  claims: ReadonlyMap<string, Row>;
}

export type WatchState =
  | { state: "connecting"; via: "websocket" | "events" }
  /** Told everything up to now, and told what comes. */
  | { state: "live"; via: "websocket" | "events" }
  | { state: "waiting"; retry_in_ms: number }
  /** It does not come back by itself: closed, or with the reason. */
  | { state: "ended"; error?: HoldfastError };

/** What to keep to go on after a reload. */
export interface Saved extends Cursor { claims?: Row[] }

export interface WatchOptions {
  /** From an earlier onSaved. Without its claims, only what has changed since is told. */
  from?: Saved;
  /** Pools whose counts and opening are wanted; at most 64. */
  pools?: Iterable<string>;
  /** auto: the WebSocket, and server-sent events where it does not come through. */
  via?: "auto" | "websocket" | "events";
  signal?: AbortSignal;
  onClaims?(change: Change): void;
  onCounts?(counts: Counts): void;
  onOpening?(opening: Opening): void;
  /** A pool that cannot be followed, such as where there is none of this name. It is no longer asked for. */
  onRefused?(pool: string, code: string): void;
  onState?(state: WatchState): void;
  /** Called whenever something moved: put it where it survives a reload, such as sessionStorage. */
  onSaved?(saved: Saved): void;
}

/** What a watch needs of its client. */
export interface Host {
  make: SocketMaker | undefined;
  url(path: string): string;
  hello(person: string, cursor: Cursor | undefined): Promise<Body>;
  get(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response>;
  pool(pool: string, options: { signal: AbortSignal }): Promise<PoolAnswer>;
  learn(person: string, row: Row, as_of: number): void;
  forget(): void;
  /** Whether another token is to be had than the one that was turned away. */
  renewable: boolean;
}

/** How a connection ended. */
interface End { fatal?: HoldfastError; wait_ms?: number; unauthenticated?: boolean }

const STEP_MS = 1000, CAP_MS = 20_000;
/** A connection that lived this long was a good one: the back-off begins anew. */
const GOOD_MS = 5000;
/** How often pools are looked at where they cannot be pushed. */
const LOOK_MS = 30_000;

export class Watch {
  /** All standings as they are now, by pool. */
  readonly claims: Map<string, Row> = new Map();
  /** Settles when the watch has ended; never rejects. */
  readonly ended: Promise<HoldfastError | undefined>;
  cursor: Cursor | undefined;

  #log: string | undefined; // of what is told now; the cursor follows with the first push
  #as_of = new Map<string, number>();
  #pools: Set<string>;
  #openings = new Map<string, { at: string; due: number }>();
  #stop = new AbortController();
  #link: Link | undefined; // while live
  #waiting: AbortController | undefined;
  #told = false; // whether this connection has told everything up to now

  constructor(private readonly host: Host, private readonly realm: string, readonly person: string,
    private readonly options: WatchOptions) {
    this.cursor = options.from && { log: options.from.log, seq: options.from.seq };
    this.#log = this.cursor?.log;
    for (const row of options.from?.claims ?? []) this.#set(row, options.from!.seq);
    this.#pools = new Set(options.pools);
    bound(this.#pools.size);
    options.signal?.addEventListener("abort", () => this.close(), { once: true, signal: this.#stop.signal });
    if (options.signal?.aborted) this.close();
    const wake = () => this.wake();
    globalThis.addEventListener?.("online", wake, { signal: this.#stop.signal });
    globalThis.document?.addEventListener("visibilitychange", wake, { signal: this.#stop.signal });
    this.ended = this.#run();
  }

  close(): void { this.#stop.abort(); }

  /** Something happened that may have mended or broken the network: look at once. */
  wake(): void {
    this.#waiting?.abort();
    this.#link?.ping();
  }

  /** Where commands can go now. */
  get link(): Link | undefined { return this.#link; }

  subscribe(...pools: string[]): void {
    const added = [...new Set(pools)].filter((pool) => !this.#pools.has(pool));
    bound(this.#pools.size + added.length);
    for (const pool of added) this.#pools.add(pool);
    if (added.length > 0) this.#subscribe("subscribe", added);
  }

  unsubscribe(...pools: string[]): void {
    const gone = pools.filter((pool) => this.#pools.delete(pool));
    if (gone.length > 0) this.#subscribe("unsubscribe", gone);
  }

  /** An answer to a command of this person. The later of it and a push wins. */
  learn(answer: ClaimAnswer): void {
    if (answer.status === "refused" || answer.durability === "preapproved" || answer.status === "none") return;
    const { realm: _, person: _p, durability: _d, as_of, ...row } = answer;
    if (this.#set(row, as_of)) this.#tell([row], []);
    this.#save();
  }

  async #run(): Promise<HoldfastError | undefined> {
    const signal = this.#stop.signal;
    let failures = 0, missed = 0, renewed = false, fatal: HoldfastError | undefined;
    while (!signal.aborted && !fatal) {
      const via = this.#via(missed);
      this.options.onState?.({ state: "connecting", via });
      const began = performance.now();
      this.#told = false;
      const end: End = await (via === "websocket" ? this.#overSocket() : this.#overEvents()).catch(broken);
      if (signal.aborted) break;
      // After two sockets that told nothing, events; after events, one socket more.
      missed = via === "events" ? (this.#told ? 1 : 0) : this.#told ? 0 : missed + 1;
      failures = this.#told && performance.now() - began > GOOD_MS ? 0 : failures + 1;
      fatal = end.fatal;
      if (this.#told) renewed = false;
      if (end.unauthenticated && this.host.renewable && !renewed) renewed = true, fatal = undefined;
      if (fatal) break;
      await this.#rest(end.wait_ms ?? backoff(failures, STEP_MS / 2, CAP_MS), end.wait_ms !== undefined);
    }
    this.#stop.abort();
    this.options.onState?.({ state: "ended", ...(fatal && { error: fatal }) });
    return fatal;
  }

  #via(missed: number): "websocket" | "events" {
    if (this.options.via === "websocket" || this.options.via === "events") return this.options.via;
    return this.host.make && missed < 2 ? "websocket" : "events";
  }

  /** Waits; a wake ends it early unless the server said how long to wait. */
  async #rest(ms: number, told: boolean): Promise<void> {
    this.options.onState?.({ state: "waiting", retry_in_ms: ms });
    const waiting = new AbortController();
    const stop = () => waiting.abort();
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    if (!told) this.#waiting = waiting;
    await sleep(ms, waiting.signal).catch(() => {});
    this.#waiting = undefined;
    this.#stop.signal.removeEventListener("abort", stop);
  }

  async #overSocket(): Promise<End> {
    const make = this.host.make;
    if (!make) return { fatal: new HoldfastError("network", "there is no WebSocket here") };
    const hello = await this.host.hello(this.person, this.cursor);
    if (this.#stop.signal.aborted) return {};
    return new Promise<End>((resolve) => {
      const link = new Link(make, this.host.url(`/v1/realms/${this.realm}/ws`).replace(/^http/, "ws"), {
        open: () => link.send(hello, (body) => {
          if (body?.["code"] === undefined && body) this.#arrive(link, body);
          return true;
        }),
        push: (body) => this.#push(body, "websocket"),
        late: (body) => { for (const answer of claimsOf(body)) this.learn(answer); },
        close: (code, reason) => {
          this.#link = undefined;
          this.#stop.signal.removeEventListener("abort", stop);
          resolve(meaning(code, reason));
        },
      });
      const stop = () => link.close();
      this.#stop.signal.addEventListener("abort", stop, { once: true });
    });
  }

  #arrive(link: Link, hello: Body): void {
    this.#sameLog(hello["log"]);
    this.#link = link;
    this.#subscribe("subscribe", [...this.#pools]);
  }

  async #overEvents(): Promise<End> {
    const stream = new AbortController();
    const stop = () => stream.abort();
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = () => { clearTimeout(timer); timer = setTimeout(stop, SILENCE_MS + PONG_MS); };
    let looks: ReturnType<typeof setTimeout> | undefined;
    try {
      heard();
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (this.cursor) headers["last-event-id"] = `${this.cursor.log}-${this.cursor.seq}`;
      const response = await this.host.get(`/v1/realms/${this.realm}/people/${this.person}/events`, headers, stream.signal);
      if (!response.ok || !response.body) return await refusedStream(response);
      const look = async () => {
        await this.#look(stream.signal).catch(() => {});
        looks = setTimeout(look, LOOK_MS * (0.75 + Math.random() / 2));
      };
      void look();
      for await (const event of events(response.body, heard)) {
        if (event.event !== "claims") continue;
        const cut = event.id.lastIndexOf("-");
        this.#sameLog(event.id.slice(0, cut));
        this.#push({ push: "claims", ...JSON.parse(event.data) }, "events");
      }
      return {};
    } finally {
      clearTimeout(timer);
      clearTimeout(looks);
      stream.abort();
      this.#stop.signal.removeEventListener("abort", stop);
    }
  }

  /** Where pools cannot be pushed they are looked at, seldom. */
  async #look(signal: AbortSignal): Promise<void> {
    for (const pool of this.#pools) {
      const answer = await this.host.pool(pool, { signal });
      if (signal.aborted) return;
      if (answer.status === "refused") {
        this.#refuse(pool, answer.refused.code);
        continue;
      }
      this.options.onCounts?.(answer);
      const in_ms = answer.opens_at ? Date.parse(answer.opens_at) - Date.now() : 0;
      if (answer.opens_at) this.#opening({ pool, opens_at: answer.opens_at, in_ms, open: in_ms <= 0 });
    }
  }

  #subscribe(what: "subscribe" | "unsubscribe", pools: string[]): void {
    if (pools.length === 0) return;
    const link = this.#link;
    link?.send({ do: what, pools }, (body) => {
      if (!body || body["code"] === undefined) return true;
      const code: string = body["code"];
      if (code === "busy" || code === "limited" || code === "unknown") {
        link.cut(); // not now: the next connection asks again
        return true;
      }
      // All are followed or none: the others once more without the one that is not there. Where it is not said which, each by itself.
      const left = pools.filter((pool) => this.#pools.has(pool));
      const bad = left.length === 1 ? left[0]! : left.find((pool) => pool === body["pool"]);
      if (bad !== undefined) this.#refuse(bad, code);
      if (bad !== undefined) this.#subscribe(what, left.filter((pool) => pool !== bad && this.#pools.has(pool)));
      else for (const pool of left) this.#subscribe(what, [pool]);
      return true;
    });
  }

  #refuse(pool: string, code: string): void {
    this.#pools.delete(pool);
    this.options.onRefused?.(pool, code);
  }

  #sameLog(log: string): void {
    if (this.#log !== undefined && this.#log !== log) {
      this.host.forget();
      for (const pool of this.#as_of.keys()) this.#as_of.set(pool, -1);
      this.cursor = undefined; // until all has been told: what is gone must be told too
    }
    this.#log = log;
  }

  #push(body: Body, via: "websocket" | "events"): void {
    if (body["push"] === "claims" && body["person"] === this.person) this.#claims(body, via);
    else if (body["push"] === "pool") this.options.onCounts?.(body as Counts);
    else if (body["push"] === "opening") this.#opening(body);
  }

  #claims(body: Body, via: "websocket" | "events"): void {
    const as_of: number = body["as_of"], rows: Row[] = body["claims"];
    const gone: string[] = [];
    if (body["all"]) {
      const there = new Set(rows.map((row) => row.pool));
      for (const pool of [...this.claims.keys()]) {
        if (there.has(pool) || this.#as_of.get(pool)! > as_of) continue;
        this.claims.delete(pool), this.#as_of.delete(pool), gone.push(pool);
      }
    }
    const changed = rows.filter((row) => this.#set(row, as_of));
    if (this.#log !== undefined && as_of >= (this.cursor?.seq ?? 0)) this.cursor = { log: this.#log, seq: as_of };
    if (changed.length + gone.length > 0) this.#tell(changed, gone);
    this.#save();
    if (this.#told) return;
    this.#told = true;
    this.options.onState?.({ state: "live", via });
  }

  /** Takes a row unless something later is known of its pool. Says whether it is news: an answer and a push may tell the same. */
  #set(row: Row, as_of: number): boolean {
    if ((this.#as_of.get(row.pool) ?? -1) > as_of) return false;
    const before = this.claims.get(row.pool);
    this.claims.set(row.pool, row);
    this.#as_of.set(row.pool, as_of);
    this.host.learn(this.person, row, as_of);
    return !before || content(before) !== content(row);
  }

  #save(): void {
    if (this.cursor) this.options.onSaved?.({ ...this.cursor, claims: [...this.claims.values()] });
  }

  #tell(changed: Row[], gone: string[]): void { this.options.onClaims?.({ changed, gone, claims: this.claims }); }

  #opening(body: Body): void {
    const { pool, opens_at, open } = body;
    // The way here takes time, so of several messages the one that says soonest is the nearest to the truth.
    const before = this.#openings.get(pool);
    const due = performance.now() + (open ? 0 : Math.max(0, body["in_ms"]));
    const opening = before?.at === opens_at ? { at: opens_at, due: Math.min(before!.due, due) } : { at: opens_at, due };
    this.#openings.set(pool, opening);
    const remaining = () => (open ? 0 : Math.max(0, opening.due - performance.now()));
    this.options.onOpening?.({ pool, open, opens_at, remaining });
  }
}

function bound(pools: number): void {
  if (pools > 64) throw new HoldfastError("malformed", "malformed: a watch follows at most 64 pools");
}

/** All members, in one order. */
function content(row: Row): string { return JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))); }

function broken(error: unknown): End {
  if (!(error instanceof HoldfastError)) return {};
  return error.code === "unauthenticated" ? { fatal: error, unauthenticated: true } : { fatal: error };
}

async function refusedStream(response: Response): Promise<End> {
  const body: Body = await response.json().catch(() => ({}));
  const after = Number(body["retry_after_ms"] ?? Number(response.headers.get("retry-after") ?? NaN) * 1000);
  if (Number.isFinite(after)) return { wait_ms: after };
  if (response.status < 400 || response.status >= 500 || typeof body["code"] !== "string") return {};
  if (body["code"] === "not_found") return {}; // a server without events; its WebSocket may do
  const code = response.status === 401 ? "unauthenticated" : body["code"];
  return { fatal: new HoldfastError(code, `${code}: ${body["detail"] ?? body["title"]}`), unauthenticated: response.status === 401 };
}

/** The close codes of docs/PROTOCOL.md. */
function meaning(code: number, reason: string): End {
  switch (code) {
    case 1012: case 1013: return { wait_ms: delay(reason) };
    case 4401: return { fatal: new HoldfastError("unauthenticated", closed(code, reason)), unauthenticated: true };
    case 4408: return {};
    case 4429: return { wait_ms: 60_000 + Math.random() * 10_000 };
    case 4500: return { wait_ms: 0 };
  }
  return code === 1009 || (code >= 4400 && code < 4500) ? { fatal: new HoldfastError("ended", closed(code, reason)) } : {};
}

function closed(code: number, reason: string): string { return `the server closed with ${code}${reason && `: ${reason}`}`; }

function delay(reason: string): number {
  try {
    const { delay_ms } = JSON.parse(reason);
    if (typeof delay_ms === "number" && delay_ms >= 0) return delay_ms;
  } catch {} // not of this protocol: a proxy may close with 1012 too
  return Math.random() * CAP_MS / 2;
}
