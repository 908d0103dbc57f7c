// Commands over HTTP against the real server.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Holdfast, HoldfastError, type ClaimAnswer } from "../src/index.js";
import { Server, realm } from "./server.js";

let server: Server;
beforeAll(async () => { server = await Server.start(); });
afterAll(() => server.remove());

type Fetch = typeof fetch;
const client = (name: string, more: { fetch?: Fetch; timeout_ms?: number; try_ms?: number } = {}) =>
  new Holdfast({ url: server.url, realm: name, WebSocket: null, ...more });

/** A fetch whose nth call goes through, but its answer is lost. */
function losing(...lost: number[]): Fetch & { calls: number } {
  const f = Object.assign(async (input: any, init?: any) => {
    const n = ++f.calls;
    const response = await fetch(input, init);
    if (lost.includes(n)) throw new TypeError("fetch failed");
    return response;
  }, { calls: 0 });
  return f;
}

/** A fetch whose first calls get these answers without reaching the server. */
function answering(...answers: (() => Response)[]): Fetch & { calls: number; headers: Headers[] } {
  const f = Object.assign(async (input: any, init?: any) => {
    f.headers.push(new Headers(init?.headers));
    return f.calls++ < answers.length ? answers[f.calls - 1]!() : fetch(input, init);
  }, { calls: 0, headers: [] as Headers[] });
  return f;
}
const problem = (status: number, body: object, headers = {}) => () =>
  new Response(JSON.stringify({ type: "urn:x", title: "t", status, detail: "d", ...body }), { status, headers });

test("claim, wait, release, and who waits is seated", async () => {
  const h = client(await realm(server, { a: { capacity: 1 } }));
  const ann = await h.claim("a", "ann");
  expect(ann).toMatchObject({ status: "seated", seat: 1, durability: "confirmed", pool: "a", person: "ann" });
  expect(await h.claim("a", "ann")).toMatchObject({ status: "seated", seq: (ann as any).seq });
  expect(await h.claim("a", "bob")).toMatchObject({ status: "waiting", position: 1 });
  expect(await h.release("a", "ann")).toMatchObject({ status: "released" });
  expect(await h.release("a", "ann")).toMatchObject({ status: "released" });
  expect(await h.standing("a", "bob")).toMatchObject({ status: "seated", seat: 1 });
  expect(await h.standing("a", "cid")).toMatchObject({ status: "none" });
  expect(await h.pool("a")).toMatchObject({ status: "there", capacity: 1, seated: 1, free: 0 });
  const all = await h.standings("ann");
  expect(all).toMatchObject({ status: "done", claims: [{ pool: "a", status: "released" }] });
});

test("refusals are results, with their fact", async () => {
  const name = await realm(server, {
    full: { capacity: 0, waitlist: 0 },
    later: { capacity: 1, opens_at: "2099-01-01T00:00:00Z" },
    past: { capacity: 1, closes_at: "2001-01-01T00:00:00Z" },
    g1: { capacity: 1, group: "g" }, g2: { capacity: 1, group: "g" },
    free: { capacity: 1 },
  }, { max_seats_per_person: 1 });
  const h = client(name);
  const why = async (answer: Promise<ClaimAnswer>) => {
    const a = await answer;
    return a.status === "refused" ? a.refused : a;
  };
  expect(await why(h.claim("full", "ann"))).toEqual({ code: "full" });
  expect(await why(h.claim("later", "ann"))).toEqual({ code: "not_open", opens_at: "2099-01-01T00:00:00.000000Z" });
  expect(await why(h.claim("past", "ann"))).toEqual({ code: "closed", closed_at: "2001-01-01T00:00:00.000000Z" });
  expect(await why(h.claim("nowhere", "ann"))).toEqual({ code: "unknown_pool" });
  await h.claim("g1", "ann");
  expect(await why(h.claim("g2", "ann"))).toEqual({ code: "group", held_pool: "g1" });
  expect(await why(h.claim("free", "ann"))).toEqual({ code: "limit", limit: 1 });
  expect(await why(h.accept("free", "ann", 7))).toEqual({ code: "no_offer" });
  expect(await why(h.swap("free", "ann", "g2"))).toEqual({ code: "no_seat", held_pool: "g2" });
  expect(await client("nowhere").claim("a", "ann")).toMatchObject({ status: "refused", refused: { code: "unknown_realm" } });
  expect(await client("nowhere").standings("ann")).toMatchObject({ status: "refused", refused: { code: "unknown_realm" } });
});

test("what a swap gave up may be claimed again", async () => {
  const h = client(await realm(server, { a: { capacity: 1 }, b: { capacity: 1 } }));
  await h.claim("a", "ann");
  expect(await h.swap("b", "ann", "a")).toMatchObject({ status: "seated" });
  expect(await h.claim("a", "ann")).toMatchObject({ status: "seated" });
});

test("swap, basket, offer and accept", async () => {
  const h = client(await realm(server, { a: { capacity: 1 }, b: { capacity: 1 }, c: { capacity: 1, waitlist: 0 },
    o: { capacity: 1, promotion: "offer", answer_seconds: 3600 } }));
  await h.claim("a", "ann");
  expect(await h.swap("b", "ann", "a")).toMatchObject({ pool: "b", status: "seated" });
  expect(await h.standing("a", "ann")).toMatchObject({ status: "released" });
  await h.claim("c", "bob");
  const each = await h.basket("ann", "each", [{ pool: "a" }, { pool: "c" }]);
  expect(each).toMatchObject({ status: "done", durability: "confirmed",
    items: [{ pool: "a", status: "seated" }, { pool: "c", status: "refused", refused: { code: "full" } }] });
  const all = await h.basket("bob", "all", [{ pool: "o" }, { pool: "a" }]);
  expect(all).toMatchObject({ status: "refused", refused: { code: "full" },
    items: [{ pool: "o", status: "refused", refused: { code: "not_all" } }, { pool: "a", status: "refused" }] });
  await h.claim("o", "cid");
  await h.claim("o", "dan");
  await h.release("o", "cid");
  const dan = await h.standing("o", "dan");
  if (dan.status !== "offered") throw new Error(dan.status);
  expect(Date.parse(dan.deadline)).toBeGreaterThan(Date.now());
  expect(await h.accept("o", "dan", dan.offer!)).toMatchObject({ status: "seated" });
  expect(await h.accept("o", "dan", dan.offer!)).toMatchObject({ status: "seated" });
});

test("200 at once for 10 seats: ten sit, nobody twice, the line is whole", async () => {
  const h = client(await realm(server, { a: { capacity: 10, waitlist: 100 } }));
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => h.claim("a", `s${i}`)));
  const seats = answers.flatMap((a) => (a.status === "seated" ? [a.seat] : []));
  const places = answers.flatMap((a) => (a.status === "waiting" ? [a.ticket] : []));
  expect(seats.sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i + 1));
  expect(new Set(places).size).toBe(100);
  expect(answers.filter((a) => a.status === "refused" && a.refused.code === "full")).toHaveLength(90);
  expect(await h.pool("a")).toMatchObject({ seated: 10, waiting: 100 });
});

test("an answer that is lost is asked for again, and the claim is there once", async () => {
  const name = await realm(server, { a: { capacity: 2 } });
  const f = losing(1, 2);
  const h = client(name, { fetch: f });
  const got = await h.claim("a", "ann");
  expect(got).toMatchObject({ status: "seated", seat: 1 });
  expect(f.calls).toBe(3);
  expect(await client(name).pool("a")).toMatchObject({ seated: 1 });
});

test("a lost answer never undoes what somebody did since", async () => {
  const name = await realm(server, { a: { capacity: 2 } });
  const other = client(name);
  // The claim is decided, its answer lost or not known; meanwhile another device releases. The repeat must not claim again.
  let n = 0;
  for (const [person, end] of [["ann", () => { throw new TypeError("fetch failed"); }],
    ["amy", problem(503, { code: "unknown", retry_after_ms: 1 })]] as const) {
    n = 0;
    const f: Fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (++n > 1) return response;
      await other.release("a", person);
      return end();
    };
    const got = await client(name, { fetch: f }).claim("a", person);
    expect(got).toMatchObject({ status: "refused", refused: { code: "precondition" } });
    expect(await other.standing("a", person)).toMatchObject({ status: "released" });
  }
  // The same for a release: a repeat must not give up what was claimed since.
  const h = client(name);
  await h.claim("a", "bob");
  n = 0;
  const g: Fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (init?.method !== "DELETE" || ++n > 1) return response;
    await other.claim("a", "bob");
    throw new TypeError("fetch failed");
  };
  const late = client(name, { fetch: g });
  await late.standing("a", "bob");
  expect(await late.release("a", "bob")).toMatchObject({ status: "refused", refused: { code: "precondition" } });
  expect(await other.standing("a", "bob")).toMatchObject({ status: "seated" });
});

test("who knows nothing corrects a guess once; who is wrong is told", async () => {
  const name = await realm(server, { a: { capacity: 1 }, b: { capacity: 1 } });
  await client(name).claim("a", "ann");
  expect(await client(name).release("a", "ann")).toMatchObject({ status: "released" });
  expect(await client(name).claim("a", "ann")).toMatchObject({ status: "seated" });
  await client(name).release("a", "ann");
  expect(await client(name).basket("ann", "all", [{ pool: "b" }, { pool: "a" }])).toMatchObject({ status: "done",
    items: [{ pool: "b", status: "seated" }, { pool: "a", status: "seated" }] });
  // Said by the caller, it is not corrected.
  expect(await client(name).release("a", "ann", { if_seq: 1 })).toMatchObject({ status: "refused", refused: { code: "precondition" } });
  // Known from before, it is not corrected either: the standing is no longer what this client showed.
  const h = client(name), other = client(name);
  await h.standing("a", "ann");
  await other.release("a", "ann");
  await other.claim("a", "ann");
  const refused = await h.release("a", "ann");
  expect(refused).toMatchObject({ status: "refused", refused: { code: "precondition" } });
  expect(await h.release("a", "ann")).toMatchObject({ status: "released" });
});

test("busy, unknown, limited and nonsense are asked again, after the time that was said", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  const f = answering(
    problem(503, { code: "busy", retry_after_ms: 120 }),
    problem(503, { code: "unknown", retry_after_ms: 30 }),
    problem(429, { code: "limited" }, { "retry-after": "0" }),
    () => new Response("<html>bad gateway", { status: 502 }),
    () => new Response("<html>log in to the campus network", { status: 200 }),
  );
  vi.spyOn(Math, "random").mockReturnValue(0); // so that only what the server says is waited for
  const began = performance.now();
  expect(await client(name, { fetch: f }).claim("a", "ann")).toMatchObject({ status: "seated" });
  vi.restoreAllMocks();
  expect(performance.now() - began).toBeGreaterThan(145);
  expect(f.calls).toBe(6);
  expect(f.headers.every((h) => h.get("if-none-match") === "*")).toBe(true);
});

test("what is preapproved is shown, and asked again until it is confirmed", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  const early = { realm: name, pool: "a", person: "ann", status: "seated", seat: 1, durability: "preapproved", as_of: 3, at: "2026-01-01T00:00:00.000000Z" };
  const f = answering(() => Response.json(early, { status: 202 }), () => Response.json(early, { status: 202 }));
  const shown: ClaimAnswer[] = [];
  const got = await client(name, { fetch: f }).claim("a", "ann", { onPreapproved: (a) => shown.push(a) });
  expect(shown.map((a) => a.durability)).toEqual(["preapproved", "preapproved"]);
  expect(got).toMatchObject({ status: "seated", durability: "confirmed" });
  expect(f.calls).toBe(3);
  const refused = { code: "full", durability: "preapproved", as_of: 3, realm: name, pool: "a", person: "bob" };
  const g = answering(problem(409, refused));
  expect(await client(name, { fetch: g }).claim("a", "bob")).toMatchObject({ status: "waiting", durability: "confirmed" });
  expect(await client(name).claim("a", "cid", { until: "preapproved" })).toMatchObject({ status: "waiting" });
});

test("what asking again does not mend is an error", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  const f = answering(problem(400, { code: "malformed", field: "if_seq" }));
  await expect(client(name, { fetch: f }).claim("a", "ann")).rejects.toMatchObject({ name: "HoldfastError", code: "malformed" });
  expect(f.calls).toBe(1);
  await expect(client(name).claim("a/b", "ann")).rejects.toMatchObject({ code: "malformed" });
  await expect(client(name).claim("..", "ann")).rejects.toMatchObject({ code: "malformed" });
});

test("a call that is not decided in time says so, with what was preapproved", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  const gone: Fetch = async () => { throw new TypeError("fetch failed"); };
  const late = await client(name, { fetch: gone, timeout_ms: 100 }).claim("a", "ann").catch((error) => error);
  expect(late).toBeInstanceOf(HoldfastError);
  expect(late.code).toBe("timeout");
  const never = { status: "seated", durability: "preapproved", as_of: 3, pool: "a", person: "ann", realm: name };
  const f: Fetch = async () => Response.json(never, { status: 202 });
  await expect(client(name, { fetch: f, timeout_ms: 100 }).claim("a", "ann")).rejects.toMatchObject({ code: "timeout", preapproved: never });
  // One try that hangs is not the end of the call.
  let n = 0;
  const hanging: Fetch = (input, init) => ++n > 1 ? fetch(input, init) : new Promise((_, reject) => {
    init!.signal!.addEventListener("abort", () => reject(init!.signal!.reason));
  });
  expect(await client(name, { fetch: hanging, try_ms: 50 }).claim("a", "ann")).toMatchObject({ status: "seated" });
});

test("an abort ends the call at once, wherever it is", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  const early = new AbortController();
  early.abort();
  await expect(client(name).claim("a", "ann", { signal: early.signal })).rejects.toMatchObject({ name: "AbortError" });
  const hangs: Fetch = (_, init) => new Promise((__, reject) => {
    init!.signal!.addEventListener("abort", () => reject(init!.signal!.reason));
    queueMicrotask(() => abort.abort());
  });
  let abort = new AbortController();
  await expect(client(name, { fetch: hangs }).claim("a", "ann", { signal: abort.signal })).rejects.toMatchObject({ name: "AbortError" });
  abort = new AbortController();
  const busy = answering(...Array.from({ length: 9 }, () => () => { setTimeout(() => abort.abort(new Error("left the page")), 20); return problem(503, { code: "busy", retry_after_ms: 60_000 })(); }));
  await expect(client(name, { fetch: busy }).claim("a", "ann", { signal: abort.signal })).rejects.toThrow("left the page");
  expect(await client(name).standing("a", "ann")).toMatchObject({ status: "none" });
});

test("many calls without a server share one budget of retries", async () => {
  let calls = 0;
  const gone: Fetch = async () => { calls++; throw new TypeError("fetch failed"); };
  const h = client("r", { fetch: gone, timeout_ms: 1500 });
  await Promise.allSettled(Array.from({ length: 100 }, (_, i) => h.claim("a", `s${i}`)));
  expect(calls).toBeGreaterThan(100);
  expect(calls).toBeLessThan(100 + 20 + 3); // the first tries, what is saved up, and what comes in 1.5 s
});

test("the server ends hard in the middle of a crowd: every call is decided, and the answers stand", async () => {
  const own = await Server.start();
  try {
    const name = await realm(own, { a: { capacity: 100 } });
    const h = new Holdfast({ url: own.url, realm: name, WebSocket: null, retries: 300 });
    let done = 0;
    const calls = Array.from({ length: 200 }, async (_, i) => {
      if (i >= 40) await new Promise((resolve) => setTimeout(resolve, i * 3));
      const answer = await h.claim("a", `s${i}`);
      done++;
      return answer;
    });
    await Promise.all(calls.slice(0, 40));
    await own.stop("SIGKILL");
    expect(done).toBeLessThan(200);
    await own.run();
    for (const answer of await Promise.all(calls)) {
      const now = await h.standing("a", answer.status === "refused" ? "" : answer.person);
      expect([now.status, (now as any).seq]).toEqual([answer.status, (answer as any).seq]);
    }
    expect(await h.pool("a")).toMatchObject({ seated: 100, waiting: 100 });
  } finally {
    await own.remove();
  }
});

test("tokens are sent, and a function is asked once more after a 401", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  const tokens = ["old", "new"];
  const f = answering(problem(401, { code: "unauthenticated" }));
  const h = new Holdfast({ url: server.url + "/", realm: name, fetch: f, token: async () => tokens.shift()! });
  expect(await h.claim("a", "ann")).toMatchObject({ status: "seated" });
  expect(f.headers.map((x) => x.get("authorization"))).toEqual(["Bearer old", "Bearer new"]);
  const g = answering(problem(401, { code: "unauthenticated" }));
  await expect(new Holdfast({ url: server.url, realm: name, fetch: g, token: "k" }).claim("a", "ann")).rejects.toMatchObject({ code: "unauthenticated" });
});
