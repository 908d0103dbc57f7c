// When to ask again, and when not to.

/** How one try of a call ended, if it did not end in an error. */
export type Outcome =
  | { kind: "answer"; body: Body }
  /** after: the server's wish in ms. lost: it may have taken effect all the same. */
  | { kind: "again"; code: string; after?: number; lost: boolean; cause?: unknown };

/** A JSON object as it came. */
export type Body = Record<string, any>;

/** Full jitter: anywhere between nothing and the doubled step, so that who failed together does not return together. */
export function backoff(failures: number, base_ms: number, cap_ms: number): number {
  return Math.random() * Math.min(cap_ms, base_ms * 2 ** Math.min(failures, 20));
}

/** Waits, or throws the signal's reason. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => { clearTimeout(timer); reject(signal!.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** A signal that follows another and has a time limit of its own. Call done when it is no longer needed. */
export function limited(ms: number, reason: () => unknown, outer?: AbortSignal): { signal: AbortSignal; done(): void } {
  const own = new AbortController();
  const follow = () => own.abort(outer!.reason);
  if (outer?.aborted) follow();
  outer?.addEventListener("abort", follow, { once: true });
  const timer = setTimeout(() => own.abort(reason()), ms);
  return { signal: own.signal, done: () => { clearTimeout(timer); outer?.removeEventListener("abort", follow); } };
}

/**
 * How many retries a client has, all its calls together: what is left of size, plus one for each answer that came and
 * one every two seconds. So calls at work never ask more than twice as often as they are answered, and a client whose
 * server is gone asks every two seconds, however many calls wait.
 */
export class Budget {
  #left: number;
  #since = performance.now();
  #turn: Promise<void> = Promise.resolve();

  constructor(readonly size: number, readonly every_ms = 2000) { this.#left = size; }

  answered(): void { this.#left = Math.min(this.size, this.#left + 1); }

  /** Takes one retry, waiting in line for it where none is left. */
  async take(signal: AbortSignal): Promise<void> {
    const before = this.#turn;
    let pass!: () => void;
    this.#turn = new Promise((resolve) => { pass = resolve; });
    try {
      await before;
      for (this.#refill(); this.#left < 1; this.#refill()) await sleep(Math.min(250, this.every_ms), signal);
      this.#left--;
    } finally {
      pass();
    }
  }

  #refill(): void {
    const now = performance.now();
    this.#left = Math.min(this.size, this.#left + (now - this.#since) / this.every_ms);
    this.#since = now;
  }
}

/** The numbers of standings as far as this client knows them: what its preconditions say. */
export class Known {
  #rows = new Map<string, { seq: number; as_of: number }>();

  constructor(readonly most: number) {}

  get(person: string, pool: string): number | undefined { return this.#rows.get(pool + " " + person)?.seq; }

  learn(person: string, pool: string, seq: number | undefined, as_of: number): void {
    const key = pool + " " + person;
    const row = this.#rows.get(key);
    if (seq === undefined || (row && row.as_of > as_of)) return;
    this.#rows.delete(key); // to the end of the order: the oldest goes first
    this.#rows.set(key, { seq, as_of });
    if (this.#rows.size > this.most) this.#rows.delete(this.#rows.keys().next().value!);
  }

  /** It has changed, and nobody said to what. */
  lose(person: string, pool: string): void { this.#rows.delete(pool + " " + person); }

  /** The log is another one: no number of the old one means anything. */
  forget(): void { this.#rows.clear(); }
}
