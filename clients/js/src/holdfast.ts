// The client: every command may be repeated, and is, until it is decided and confirmed.
import type { Link, SocketMaker } from "./link.js";
import { Budget, Known, backoff, limited, sleep, type Body, type Outcome } from "./retry.js";
import { HoldfastError, type BasketAnswer, type ClaimAnswer, type Durability, type Item, type Mode, type PoolAnswer, type Row,
  type StandingsAnswer } from "./types.js";
import { Watch, type WatchOptions } from "./watch.js";
import { claimsOf, item, judge, segment } from "./wire.js";

export interface Options {
  /** Where the server is, such as https://seats.example.edu. */
  url: string;
  realm: string;
  /** Who asks: an API key or a JWT. A function is asked each time; it should keep the token until it is about to end. */
  token?: string | (() => string | Promise<string>);
  /** In place of a token: a fresh one-use ticket for each connection, as a back end gives it to its page. Commands then wait for a watch. */
  ticket?: () => string | Promise<string>;
  fetch?: typeof fetch;
  /** null: none, as where it is not there. */
  WebSocket?: SocketMaker | null;
  /** Until a call gives up with a HoldfastError of code timeout; 60,000. */
  timeout_ms?: number;
  /** Until one try of it counts as lost; 10,000. */
  try_ms?: number;
  /** Retries at once, all calls together (see Budget); 20. */
  retries?: number;
}

export interface CallOptions<A> {
  signal?: AbortSignal;
  timeout_ms?: number;
  /** How far the answer is waited for: confirmed. recorded gives confirmed where the database is late or there is none. */
  until?: Durability;
  /** Decided in memory, not on disk yet: show it, but send no mail and take no money. May be called more than once. */
  onPreapproved?(answer: A): void;
}
export interface ClaimOptions extends CallOptions<ClaimAnswer> {
  /** The seq of the standing that this is about, 0 = never had one. Left out: what the client knows. */
  if_seq?: number;
}

/** A command, as the two ways carry it. */
interface Command {
  do: "claim" | "release" | "accept" | "swap" | "basket";
  person: string;
  items: Item[];
  offer?: number;
  mode?: Mode;
}

type Page = Body & { durability: Durability };

const KNOWN = 100_000;
const RETRY_MS = 200, RETRY_CAP_MS = 10_000;

export class Holdfast {
  #options: Options;
  #fetch: typeof fetch;
  #make: SocketMaker | undefined;
  #budget: Budget;
  #known = new Known(KNOWN);
  #watches = new Map<string, Watch>(); // one of each person: commands go over it
  #base: string;

  constructor(options: Options) {
    this.#options = options;
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#make = options.WebSocket === null ? undefined : (options.WebSocket ?? (globalThis.WebSocket as SocketMaker | undefined));
    this.#budget = new Budget(options.retries ?? 20);
    this.#base = options.url.replace(/\/+$/, "");
    segment(options.realm);
  }

  /** Claims: a seat, a place in line, or a refusal. May be repeated. */
  claim(pool: string, person: string, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    return this.#claimLike({ do: "claim", person, items: [one(pool, options)] }, options);
  }

  /** Gives up a seat, a place in line, or an offer. */
  release(pool: string, person: string, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    return this.#claimLike({ do: "release", person, items: [one(pool, options)] }, options);
  }

  /** Takes the seat that is held for the person: offer is the number that the standing shows. */
  accept(pool: string, person: string, offer: number, options: CallOptions<ClaimAnswer> = {}): Promise<ClaimAnswer> {
    return this.#claimLike({ do: "accept", person, offer, items: [{ pool }] }, options);
  }

  /** Claims pool and gives up the seat in from once the new one is certain. */
  swap(pool: string, person: string, from: string, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    return this.#claimLike({ do: "swap", person, mode: "each_or_wait", items: [{ ...one(pool, options), swap: from }] }, options);
  }

  /** Up to 32 claims and swaps, decided at once. */
  async basket(person: string, mode: Mode, items: Item[], options: CallOptions<BasketAnswer> = {}): Promise<BasketAnswer> {
    const answer = await this.#command({ do: "basket", person, mode, items }, basketOf, options);
    for (const one of claimsOf(answer)) if (one.status !== "refused") this.#learn(one);
    return answer;
  }

  standing(pool: string, person: string, options: CallOptions<ClaimAnswer> = {}): Promise<ClaimAnswer> {
    const path = this.#claimPath(pool, person);
    return this.#settle((signal) => this.#http("GET", path, options, signal), (body) => body as ClaimAnswer, options)
      .then((answer) => this.#learn(answer));
  }

  /** All standings of a person, released ones too. as_of is that of the first page: what came later may be in it already. */
  async standings(person: string, options: CallOptions<StandingsAnswer> = {}): Promise<StandingsAnswer> {
    let all: StandingsAnswer | undefined;
    for (let next: string | undefined = ""; next !== undefined;) {
      const path: string = `${this.#realm()}/people/${segment(person)}?limit=1000${next && `&after=${encodeURIComponent(next)}`}`;
      const body: Page = await this.#settle((signal) => this.#http("GET", path, options, signal), (b) => b as Page, options as CallOptions<Page>);
      if (body["status"] === "refused") return body as unknown as StandingsAnswer;
      for (const row of body["claims"] as Row[]) this.#known.learn(person, row.pool, row.seq, body["as_of"]);
      next = body["next"];
      delete body["next"];
      if (all?.status === "done") all.claims.push(...body["claims"]);
      else all = { ...body, status: "done" } as unknown as StandingsAnswer;
    }
    return all!;
  }

  /** A pool with its counts. */
  pool(pool: string, options: CallOptions<PoolAnswer> = {}): Promise<PoolAnswer> {
    const path = `${this.#realm()}/pools/${segment(pool)}`;
    return this.#settle((signal) => this.#http("GET", path, options, signal),
      (body) => ({ status: "there", ...body }) as PoolAnswer, options);
  }

  /** Tells what happens to a person's claims, from now until it is closed. Commands of that person go over its connection. */
  watch(person: string, options: WatchOptions = {}): Watch {
    segment(person);
    const watch = new Watch({
      make: this.#make,
      url: (path) => this.#base + path,
      hello: async (who, cursor) => ({ do: "hello", ...(await this.#credentials(who)), person: who, ...cursor }),
      get: async (path, headers, signal) => this.#fetch(this.#base + path, { headers: { ...headers, ...(await this.#bearer()) }, signal, cache: "no-store" }),
      pool: (pool, opts) => this.pool(pool, opts),
      learn: (who, row, as_of) => this.#known.learn(who, row.pool, row.seq, as_of),
      forget: () => this.#known.forget(),
      renewable: typeof this.#options.token === "function" || this.#options.ticket !== undefined,
    }, this.#options.realm, person, options);
    this.#watches.set(person, watch);
    void watch.ended.then(() => { if (this.#watches.get(person) === watch) this.#watches.delete(person); });
    return watch;
  }

  async #claimLike(command: Command, options: CallOptions<ClaimAnswer>): Promise<ClaimAnswer> {
    return this.#learn(await this.#command(command, claimOf, options));
  }

  #learn(answer: ClaimAnswer): ClaimAnswer {
    if (answer.durability === "preapproved") return answer;
    const { pool, person, as_of } = answer;
    const seq = answer.status === "refused" ? (answer.refused.code === "precondition" ? answer.refused.seq : undefined)
      : answer.status === "none" ? 0 : answer.seq;
    this.#known.learn(person, pool, seq, as_of);
    this.#watches.get(person)?.learn(answer);
    return answer;
  }

  /**
   * Sends a command until it is decided. Each item says which standing it is about; where nothing is known it guesses that
   * there never was one. That guess may be corrected once, by the first answer: later a mismatch may mean that
   * somebody undid what a lost try of ours had done, and then it is for the caller to say.
   */
  #command<A extends ClaimAnswer | BasketAnswer>(command: Command, shape: (body: Body) => A, options: CallOptions<A>): Promise<A> {
    const { person } = command;
    segment(person);
    const guessed = new Set<string>();
    const items = command.items.map((it) => {
      segment(it.pool);
      const if_seq = it.if_seq ?? this.#known.get(person, it.pool);
      if (if_seq === undefined) guessed.add(it.pool);
      return { ...it, if_seq: if_seq ?? 0 };
    });
    const swapped = items.flatMap((it) => it.swap ?? []); // the answer does not tell what became of them
    let mayHaveWorked = command.do === "accept"; // its offer is its precondition
    const seen = (body: Body) => { mayHaveWorked ||= body["status"] !== "refused"; };
    return this.#settle(async (signal, n) => {
      for (;;) {
        const outcome = await this.#once({ ...command, items }, options, signal, n, (body) => { seen(body); options.onPreapproved?.(shape(body)); });
        if (outcome.kind === "again") {
          mayHaveWorked ||= outcome.lost;
          return outcome;
        }
        const known = mayHaveWorked ? [] : corrections(outcome.body, items[0]!.pool).filter(([pool]) => guessed.delete(pool));
        if (known.length === 0) {
          seen(outcome.body);
          return outcome;
        }
        for (const it of items) it.if_seq = known.find(([pool]) => pool === it.pool)?.[1] ?? it.if_seq;
      }
    }, shape, options).finally(() => { for (const pool of swapped) this.#known.lose(person, pool); });
  }

  /** One try, over the person's connection if it is open, else over HTTP. After a failure always over HTTP, if that can be. */
  async #once(command: Command, options: CallOptions<any>, signal: AbortSignal, n: number, preapproved: (body: Body) => void): Promise<Outcome> {
    const link = this.#watches.get(command.person)?.link;
    const only = this.#options.ticket !== undefined && this.#options.token === undefined;
    if (link && (n === 0 || only) && options.until !== "recorded" && options.until !== "preapproved") {
      return this.#onLink(link, command, signal, preapproved);
    }
    if (only) return { kind: "again", code: "network", lost: false };
    const [first] = command.items as [Item];
    const { if_seq } = first;
    const condition: Record<string, string> = if_seq === 0 ? { "if-none-match": "*" } : { "if-match": `"${if_seq}"` };
    switch (command.do) {
      case "claim": return this.#http("PUT", this.#claimPath(first.pool, command.person), options, signal, condition);
      case "release": return this.#http("DELETE", this.#claimPath(first.pool, command.person), options, signal, condition);
      case "accept": return this.#http("POST", this.#claimPath(first.pool, command.person) + "/accept", options, signal, {}, { offer: command.offer });
      default: return this.#http("POST", `${this.#realm()}/baskets`, options, signal, {},
        { person: command.person, mode: command.mode, items: command.items });
    }
  }

  async #onLink(link: Link, command: Command, signal: AbortSignal, preapproved: (body: Body) => void): Promise<Outcome> {
    const { do: what, mode, items, offer } = command;
    const [first] = items as [Item];
    const message = what === "basket" ? { do: what, mode, items }
      : what === "accept" ? { do: what, pool: first.pool, offer } : { do: what, ...first };
    const one_try = limited(this.#options.try_ms ?? 10_000, () => LOST, signal);
    try {
      return await link.command(message, preapproved, one_try.signal);
    } catch (error) {
      if (error === LOST) return { kind: "again", code: "network", lost: true };
      throw error;
    } finally {
      one_try.done();
    }
  }

  /** Tries until the answer is as far as it is waited for. */
  async #settle<A extends { durability: Durability }>(attempt: (signal: AbortSignal, n: number) => Promise<Outcome>, shape: (body: Body) => A,
    options: CallOptions<A>): Promise<A> {
    let last: A | undefined, why = "no answer", cause: unknown, waiting = 0;
    const ms = options.timeout_ms ?? this.#options.timeout_ms ?? 60_000;
    const late = () => new HoldfastError("timeout", `not decided within ${ms} ms: ${why}`, last, { cause });
    const call = limited(ms, late, options.signal);
    try {
      for (let n = 0; ; n++) {
        if (call.signal.aborted) throw call.signal.reason;
        const outcome = await attempt(call.signal, n);
        if (outcome.kind === "answer") {
          this.#budget.answered();
          last = shape(outcome.body);
          if (last.durability !== "preapproved" || options.until === "preapproved") return last;
          why = "not confirmed";
          options.onPreapproved?.(last);
          await sleep(backoff(waiting++, 50, 1000), call.signal); // the server has waited for us already
          continue;
        }
        why = outcome.code, cause = outcome.cause;
        await sleep(Math.max(outcome.after ?? 0, backoff(n, RETRY_MS, RETRY_CAP_MS)), call.signal);
        await this.#budget.take(call.signal);
      }
    } finally {
      call.done();
    }
  }

  async #http(method: string, path: string, options: CallOptions<any>, signal: AbortSignal, headers: Record<string, string> = {}, body?: unknown): Promise<Outcome> {
    const wait = options.until === "recorded" ? "recorded" : options.until === "preapproved" ? "none" : undefined;
    const url = this.#base + path + (wait ? `${path.includes("?") ? "&" : "?"}wait=${wait}` : "");
    for (let renewed = false; ; renewed = true) {
      const bearer = await this.#bearer();
      const one_try = limited(this.#options.try_ms ?? 10_000, () => LOST, signal);
      try {
        const response = await this.#fetch(url, { method, signal: one_try.signal, cache: "no-store",
          headers: { ...headers, ...bearer, ...(body !== undefined && { "content-type": "application/json" }) },
          ...(body !== undefined && { body: JSON.stringify(body) }) });
        const answer: Body = await response.json(); // what is no JSON came from something in between
        if (typeof answer["code"] !== "string" && !response.ok) throw new Error(`status ${response.status}`);
        if (response.status === 401 && !renewed && typeof this.#options.token === "function") continue;
        return judge(answer, response.status, response.headers.get("retry-after"));
      } catch (error) {
        if (error instanceof HoldfastError) throw error;
        if (signal.aborted) throw signal.reason;
        return { kind: "again", code: "network", lost: true, cause: error };
      } finally {
        one_try.done();
      }
    }
  }

  /** What a hello proves itself with. A first message has at most 1 KiB: a longer token is changed for a ticket. */
  async #credentials(person: string): Promise<Body> {
    if (this.#options.ticket) return { ticket: await this.#options.ticket() };
    const token = await this.#token();
    if (token === undefined) return {};
    if (token.length + 2 * person.length < 700) return { token };
    const outcome = await this.#http("POST", `${this.#realm()}/tickets`, {}, AbortSignal.timeout(this.#options.try_ms ?? 10_000), {}, { person });
    if (outcome.kind === "again") throw new Error(outcome.code);
    return { ticket: outcome.body["ticket"] };
  }

  async #token(): Promise<string | undefined> {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token;
  }

  async #bearer(): Promise<Record<string, string>> {
    const token = await this.#token();
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  #realm(): string { return `/v1/realms/${segment(this.#options.realm)}`; }

  #claimPath(pool: string, person: string): string { return `${this.#realm()}/pools/${segment(pool)}/claims/${segment(person)}`; }
}

const LOST = new Error("no answer in time");

function one(pool: string, options: ClaimOptions): Item {
  return options.if_seq === undefined ? { pool } : { pool, if_seq: options.if_seq };
}

/** The standings' true numbers, where a precondition did not hold and the answer is sure of it. */
function corrections(body: Body, pool: string): [string, number][] {
  if (body["durability"] === "preapproved") return [];
  const refused: Body[] = body["items"] ?? [{ pool, refused: body["refused"] }];
  return refused.filter((it) => it["refused"]?.code === "precondition" && it["refused"].seq !== undefined)
    .map((it) => [it["pool"], it["refused"].seq]);
}

/** A claim's answer; a swap's stands in a basket of one. */
function claimOf(body: Body): ClaimAnswer {
  return claimsOf(body)[0]!;
}

function basketOf(body: Body): BasketAnswer {
  return { status: "done", ...body, ...(body["items"] && { items: body["items"].map(item) }) } as BasketAnswer;
}
