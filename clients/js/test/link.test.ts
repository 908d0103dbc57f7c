// What a real server seldom does: close codes, silence, answers out of order. The connection is made up, and so is time.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Holdfast, type Opening, type Options, type Watch, type WatchOptions, type WatchState } from "../src/index.js";

class Fake {
  static all: Fake[] = [];
  static get last(): Fake { return Fake.all.at(-1)!; }
  onopen: any; onmessage: any; onerror: any; onclose: any;
  frames: string[] = [];
  closed = false;
  constructor(readonly url: string) { Fake.all.push(this); }
  send(data: string): void { this.frames.push(data); }
  close(): void { this.closed = true; }
  get said(): any[] { return this.frames.flatMap((f) => f.split("\n")).map((m) => JSON.parse(m)); }
  say(...bodies: object[]): void { this.onmessage({ data: bodies.map((b) => JSON.stringify(b)).join("\n") }); }
  end(code: number, reason = ""): void { this.onclose({ code, reason }); }
  async welcome(log = "10", as_of = 5, claims: object[] = [], all = true): Promise<void> {
    this.onopen({});
    await tick();
    const hello = this.said[0];
    this.say({ reply: hello.id, do: "hello", person: hello.person, log, as_of }, { push: "claims", person: hello.person, as_of, all, claims });
    await tick();
  }
}
const tick = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const seated = (pool: string, seq: number, seat = 1) => ({ pool, status: "seated", seat, seq, at: "2026-01-01T00:00:00.000000Z" });

let states: WatchState[], watch: Watch;
beforeEach(() => { vi.useFakeTimers(); Fake.all = []; states = []; });
afterEach(async () => { watch.close(); await tick(); vi.useRealTimers(); });

function start(options: Partial<Options> = {}, more: WatchOptions = {}): Holdfast {
  const h = new Holdfast({ url: "https://seats.example", realm: "r", WebSocket: Fake as any, fetch: async () => { throw new TypeError("no network"); }, ...options });
  watch = h.watch("ann", { via: "websocket", onState: (s) => states.push(s), ...more });
  return h;
}
const waits = () => states.flatMap((s) => (s.state === "waiting" ? [s.retry_in_ms] : []));

test("hello has the cursor, the address is that of the realm, and the token stays out of it", async () => {
  start({ token: "secret" }, { from: { log: "10", seq: 3 } });
  await tick();
  expect(Fake.last.url).toBe("wss://seats.example/v1/realms/r/ws");
  await Fake.last.welcome();
  expect(Fake.last.said[0]).toEqual({ id: 1, do: "hello", token: "secret", person: "ann", log: "10", seq: 3 });
});

test("a token too long for the first message is changed for a ticket", async () => {
  const asked: any[] = [];
  start({ token: "x".repeat(900), fetch: async (url, init) => { asked.push([url, init]); return Response.json({ ticket: "t1" }); } });
  await tick();
  await Fake.last.welcome();
  expect(asked[0][0]).toBe("https://seats.example/v1/realms/r/tickets");
  expect(asked[0][1].headers.authorization).toBe("Bearer " + "x".repeat(900));
  expect(Fake.last.said[0]).toMatchObject({ ticket: "t1" });
  expect(Fake.last.frames[0]!.length).toBeLessThan(1024);
});

describe("after a close", () => {
  test.each([1009, 4400, 4403, 4404])("%i it does not come back", async (code) => {
    start();
    await tick();
    await Fake.last.welcome();
    Fake.last.end(code, "why");
    expect((await watch.ended)?.message).toContain(String(code));
    await tick(600_000);
    expect(Fake.all).toHaveLength(1);
  });

  test.each([1012, 1013])("%i it comes back after the time that was said, with its cursor", async (code) => {
    start();
    await tick();
    await Fake.last.welcome("10", 7);
    Fake.last.end(code, '{"delay_ms":5000}');
    await tick();
    watch.wake(); // the phone is looked at: the server's wish stands
    await tick(4990);
    expect(Fake.all).toHaveLength(1);
    await tick(20);
    expect(Fake.all).toHaveLength(2);
    await Fake.last.welcome();
    expect(Fake.last.said[0]).toMatchObject({ log: "10", seq: 7 });
  });

  test("4500 it comes back at once, 4429 after a minute", async () => {
    start();
    await tick();
    await Fake.last.welcome();
    Fake.last.end(4500);
    await tick(1);
    expect(Fake.all).toHaveLength(2);
    await Fake.last.welcome();
    Fake.last.end(4429);
    await tick();
    expect(waits().at(-1)).toBeGreaterThanOrEqual(60_000);
  });

  test.each([1006, 4408, 4503, 1001])("%i it backs off, further each time, with full jitter", async (code) => {
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    start();
    for (let i = 0; i < 8; i++) {
      await tick(waits().at(-1) ?? 0);
      Fake.last.end(code);
      await tick();
    }
    await tick();
    vi.restoreAllMocks();
    expect(waits()).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    watch.wake(); // the network is back
    await tick();
    expect(Fake.all).toHaveLength(9);
  });

  test("4401 it asks for another token once, and gives up if that is no better", async () => {
    let n = 0;
    start({ token: () => `t${++n}` });
    await tick();
    await Fake.last.welcome();
    Fake.last.end(4401);
    await tick(1000);
    expect(Fake.all).toHaveLength(2);
    Fake.last.onopen({});
    await tick();
    expect(Fake.last.said[0]).toMatchObject({ token: "t2" });
    Fake.last.end(4401);
    expect(await watch.ended).toMatchObject({ code: "unauthenticated" });
    start({ token: "t" });
    await tick();
    Fake.last.end(4401);
    expect(await watch.ended).toMatchObject({ code: "unauthenticated" });
  });
});

test("after 25 s of silence it asks, and after 10 more it comes back by itself", async () => {
  start();
  await tick();
  await Fake.last.welcome();
  const first = Fake.last;
  await tick(24_999);
  expect(first.said).toHaveLength(1);
  await tick(1);
  expect(first.said[1]).toMatchObject({ do: "ping" });
  first.say({ reply: first.said[1].id, do: "ping", time: "…" });
  await tick(25_000);
  expect(first.said[2]).toMatchObject({ do: "ping" });
  await tick(10_000);
  expect(first.closed).toBe(true);
  await tick(20_000);
  expect(Fake.all.length).toBeGreaterThan(1);
});

test("a connection that never opens is given up", async () => {
  start();
  await tick(10_000);
  expect(Fake.all[0]!.closed).toBe(true);
  expect(waits()).toHaveLength(1);
});

test("of an answer and a push about one pool the later wins, and what both say is told once", async () => {
  const told: string[] = [];
  const h = start({}, { onClaims: ({ changed }) => told.push(...changed.map((row) => row.status)) });
  await tick();
  await Fake.last.welcome();
  const claim = h.claim("a", "ann");
  await tick();
  const { id } = Fake.last.said.at(-1);
  Fake.last.say({ reply: id, realm: "r", person: "ann", ...seated("a", 9), durability: "confirmed", as_of: 9 });
  expect(await claim).toMatchObject({ status: "seated" });
  Fake.last.say({ push: "claims", person: "ann", as_of: 9, claims: [seated("a", 9)] });
  Fake.last.say({ push: "claims", person: "ann", as_of: 8, claims: [{ pool: "a", status: "waiting", position: 1, ticket: 1, seq: 8, at: "" }] });
  expect(watch.claims.get("a")).toMatchObject({ status: "seated" });
  Fake.last.say({ push: "claims", person: "ann", as_of: 10, claims: [{ pool: "a", status: "released", seq: 10, at: "" }] });
  expect(watch.claims.get("a")).toMatchObject({ status: "released" });
  expect(watch.cursor).toEqual({ log: "10", seq: 10 });
  expect(told).toEqual(["seated", "released"]);
  // What was pushed is what the next command names.
  const again = h.claim("a", "ann");
  await tick();
  expect(Fake.last.said.at(-1)).toMatchObject({ do: "claim", pool: "a", if_seq: 10 });
  watch.close();
  await expect(Promise.race([again, tick(60_000).then(() => again)])).rejects.toMatchObject({ code: "timeout" });
});

test("what a basket decided is told, and known to the next command", async () => {
  const told: string[] = [];
  const h = start({}, { onClaims: ({ changed }) => told.push(...changed.map((row) => row.pool)) });
  await tick();
  await Fake.last.welcome();
  const basket = h.basket("ann", "each", [{ pool: "a" }, { pool: "b" }, { pool: "c" }]);
  await tick();
  const { id } = Fake.last.said.at(-1);
  const items = [seated("a", 8), { pool: "b", refused: { code: "full" } }, seated("c", 9)];
  Fake.last.say({ reply: id, realm: "r", person: "ann", mode: "each", durability: "confirmed", as_of: 9, items });
  expect(await basket).toMatchObject({ status: "done" });
  expect(told).toEqual(["a", "c"]);
  expect([...watch.claims.values()]).toEqual([seated("a", 8), seated("c", 9)]);
  void h.release("c", "ann").catch(() => {});
  await tick();
  expect(Fake.last.said.at(-1)).toMatchObject({ do: "release", pool: "c", if_seq: 9 });
});

test("the 65th pool is refused at once, and the others are followed on", async () => {
  const pools = Array.from({ length: 64 }, (_, i) => `p${i}`);
  start({}, { pools });
  await tick();
  await Fake.last.welcome();
  watch.subscribe("p1", "p1");
  expect(() => watch.subscribe("more")).toThrow("at most 64");
  Fake.last.end(4500);
  await tick(1);
  await Fake.last.welcome();
  expect(Fake.last.said.at(-1)).toMatchObject({ do: "subscribe", pools });
});

test("a pool that cannot be followed is refused; when busy, the next connection asks again", async () => {
  const refused: string[][] = [];
  start({}, { pools: ["a", "b"], onRefused: (...of) => refused.push(of) });
  await tick();
  await Fake.last.welcome();
  const first = Fake.last;
  const asked = () => Fake.last.said.filter((m) => m.do === "subscribe");
  first.say({ reply: asked()[0].id, code: "malformed", status: 400 });
  await tick();
  expect(asked().slice(1)).toMatchObject([{ pools: ["a"] }, { pools: ["b"] }]);
  first.say({ reply: asked()[1].id, code: "forbidden", status: 403 }, { reply: asked()[2].id, do: "subscribe" });
  expect(refused).toEqual([["a", "forbidden"]]);
  expect(first.closed).toBe(false);
  watch.subscribe("c");
  await tick();
  first.say({ reply: asked().at(-1).id, code: "busy", status: 503 });
  expect(first.closed).toBe(true);
  await tick(2000);
  await Fake.last.welcome();
  expect(asked()).toMatchObject([{ pools: ["b", "c"] }]);
  expect(refused).toHaveLength(1);
});

test("the answer to a command that was given up is told all the same", async () => {
  const h = start();
  await tick();
  await Fake.last.welcome();
  const stop = new AbortController();
  const claim = h.claim("a", "ann", { signal: stop.signal });
  const basket = h.basket("ann", "each", [{ pool: "b" }, { pool: "c" }], { signal: stop.signal });
  const given_up = Promise.allSettled([claim, basket]);
  await tick();
  const [first, second] = Fake.last.said.slice(-2);
  stop.abort();
  expect((await given_up).map((one) => one.status)).toEqual(["rejected", "rejected"]);
  Fake.last.say({ reply: first.id, realm: "r", person: "ann", pool: "a", status: "seated", seat: 1, durability: "preapproved", as_of: 8 });
  expect(watch.claims.size).toBe(0);
  Fake.last.say({ reply: first.id, realm: "r", person: "ann", ...seated("a", 8), durability: "confirmed", as_of: 8 },
    { reply: second.id, realm: "r", person: "ann", mode: "each", durability: "confirmed", as_of: 9,
      items: [seated("b", 9), { pool: "c", refused: { code: "full" } }] });
  expect([...watch.claims.values()]).toEqual([seated("a", 8), seated("b", 9)]);
  void h.release("b", "ann").catch(() => {});
  await tick();
  expect(Fake.last.said.at(-1)).toMatchObject({ pool: "b", if_seq: 9 });
});

test("another log: rows and numbers of the old one are gone", async () => {
  const h = start();
  await tick();
  await Fake.last.welcome("10", 50, [seated("a", 40), seated("b", 41)]);
  Fake.last.end(1006);
  await tick(1000);
  await Fake.last.welcome("20", 6, [seated("b", 4)]);
  expect([...watch.claims.keys()]).toEqual(["b"]);
  expect(watch.cursor).toEqual({ log: "20", seq: 6 });
  void h.claim("a", "ann").catch(() => {});
  void h.claim("b", "ann").catch(() => {});
  await tick();
  expect(Fake.last.said.slice(-2)).toMatchObject([{ pool: "a", if_seq: 0 }, { pool: "b", if_seq: 4 }]);
});

test("another log, and the connection ends before it has told anything: all is asked for again", async () => {
  start();
  await tick();
  await Fake.last.welcome("10", 50, [seated("a", 40), seated("b", 41)]);
  Fake.last.end(1006);
  await tick(1000);
  Fake.last.onopen({});
  await tick();
  Fake.last.say({ reply: Fake.last.said[0].id, do: "hello", person: "ann", log: "20", as_of: 6 });
  Fake.last.end(1006);
  await tick(2000);
  await Fake.last.welcome("20", 6, [seated("b", 4)]);
  expect(Fake.all).toHaveLength(3);
  expect(Fake.last.said[0]).not.toHaveProperty("log");
  expect(Fake.last.said[0]).not.toHaveProperty("seq");
  expect([...watch.claims.keys()]).toEqual(["b"]);
  expect(watch.cursor).toEqual({ log: "20", seq: 6 });
});

test("commands of one moment go in one frame, and none is longer than 16 KiB", async () => {
  const h = start();
  await tick();
  await Fake.last.welcome();
  for (let i = 0; i < 400; i++) void h.claim(`pool-${"x".repeat(60)}-${i}`, "ann").catch(() => {});
  await tick();
  expect(Fake.last.said).toHaveLength(401);
  expect(Fake.last.frames.length).toBeLessThan(6);
  for (const frame of Fake.last.frames) expect(frame.length).toBeLessThanOrEqual(16_384);
});

test("the countdown is the server's, whatever the clock of this machine says", async () => {
  const openings: Opening[] = [];
  vi.setSystemTime(0);
  start({}, { pools: ["a"], onOpening: (o) => openings.push(o) });
  await tick();
  await Fake.last.welcome();
  expect(Fake.last.said.at(-1)).toMatchObject({ do: "subscribe", pools: ["a"] });
  const opening = (in_ms: number, open = false) => Fake.last.say({ push: "opening", pool: "a", open, opens_at: "2026-09-01T08:00:00Z", time: "…", in_ms });
  opening(40_000);
  expect(openings[0]!.remaining()).toBe(40_000);
  await tick(15_000);
  expect(openings[0]!.remaining()).toBe(25_000);
  opening(24_000); // the first had been a second on its way
  expect(openings[1]!.remaining()).toBe(24_000);
  opening(24_500);
  expect(openings[2]!.remaining()).toBe(24_000);
  opening(0, true);
  expect(openings[3]).toMatchObject({ open: true });
  expect(openings[3]!.remaining()).toBe(0);
});

test.each(["busy", "unknown", "limited"])("%s over the connection is asked again, after the time that was said", async (code) => {
  const asked: string[] = [];
  const h = start({ fetch: async (url, init) => {
    asked.push(`${init!.method} ${url}`);
    return Response.json({ realm: "r", person: "ann", ...seated("a", 9), durability: "confirmed", as_of: 9 });
  } });
  await tick();
  await Fake.last.welcome();
  const claim = h.claim("a", "ann");
  await tick();
  Fake.last.say({ reply: Fake.last.said.at(-1).id, code, status: 503, title: "t", detail: "d", retry_after_ms: 3000 });
  await tick(2999);
  expect(asked).toEqual([]);
  await tick(1);
  expect(await claim).toMatchObject({ status: "seated" });
  expect(asked).toEqual(["PUT https://seats.example/v1/realms/r/pools/a/claims/ann"]);
});

test("a page with tickets only: commands wait for its connection, and use nothing else", async () => {
  let n = 0, http = 0;
  const h = start({ ticket: () => `k${++n}`, fetch: async () => { http++; throw new TypeError("over HTTP"); } });
  const claim = h.claim("a", "ann");
  await tick(300);
  await Fake.last.welcome();
  expect(Fake.last.said[0]).toMatchObject({ ticket: "k1" });
  await tick(10_000);
  const { id } = Fake.last.said.find((m) => m.do === "claim");
  Fake.last.say({ reply: id, realm: "r", person: "ann", ...seated("a", 9), durability: "confirmed", as_of: 9 });
  expect(await claim).toMatchObject({ status: "seated" });
  expect(http).toBe(0);
});
