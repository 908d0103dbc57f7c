// Watches against the real server, over both ways.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createServer } from "node:net";
import { Holdfast, type ClaimAnswer } from "../src/index.js";
import { is, live, watching } from "./heard.js";
import { Seen, Server, Wire, realm } from "./server.js";

let server: Server, wire: Wire | undefined;
beforeAll(async () => { server = await Server.start(); });
afterEach(() => wire?.stop());
afterAll(() => server.remove());

for (const via of ["websocket", "events"] as const) describe(via, () => {
  test("tells what there is, and then what happens", async () => {
    const name = await realm(server, { a: { capacity: 1 }, b: { capacity: 5 } });
    const other = new Holdfast({ url: server.url, realm: name, WebSocket: null });
    await other.claim("a", "bob");
    await other.claim("b", "ann");
    const h = new Holdfast({ url: server.url, realm: name });
    const { watch, states, changes } = watching(h, "ann", { via });
    await states.first(live);
    expect(watch.claims.get("b")).toMatchObject({ status: "seated", seat: 1 });
    expect(await h.claim("a", "ann")).toMatchObject({ status: "waiting", position: 1 });
    await changes.first(is("a", "waiting"));
    await other.release("a", "bob");
    await changes.first(is("a", "seated"));
    expect([...watch.claims.keys()].sort()).toEqual(["a", "b"]);
    // What the watch was told is what the next command is about.
    expect(await h.release("a", "ann")).toMatchObject({ status: "released" });
    await changes.first(is("a", "released"));
    expect(changes.all.flatMap((c) => c.changed).filter((r) => r.pool === "a").map((r) => r.status)).toEqual(["waiting", "seated", "released"]);
    expect(states.all.map((s) => s.state)).toEqual(["connecting", "live"]);
  });

  test("a promotion and a release while away are told on coming back, and nothing else is", async () => {
    const name = await realm(server, { a: { capacity: 1 }, b: { capacity: 5 }, c: { capacity: 5 } });
    const other = new Holdfast({ url: server.url, realm: name, WebSocket: null });
    await other.claim("a", "bob");
    for (const pool of ["a", "b", "c"]) await other.claim(pool, "ann");
    wire = await new Wire(server.url).start();
    const { watch, states, changes } = watching(new Holdfast({ url: wire.url, realm: name }), "ann", { via });
    await states.first(live);
    expect(watch.claims.size).toBe(3);
    wire.cut();
    await states.first((s) => s.state === "waiting");
    await other.release("a", "bob");
    await other.release("b", "ann");
    const from = changes.all.length;
    wire.open = true;
    const back = await changes.first(() => true, from);
    expect(back.changed.map((r) => [r.pool, r.status]).sort()).toEqual([["a", "seated"], ["b", "released"]]);
    expect(back.gone).toEqual([]);
    expect(back.claims.get("c")).toMatchObject({ status: "seated" });
  });

  test("a page that was reloaded goes on from what it saved", async () => {
    const name = await realm(server, { a: { capacity: 1 }, b: { capacity: 5 } });
    const h = new Holdfast({ url: server.url, realm: name });
    const first = watching(h, "ann", { via });
    await first.states.first(live);
    const other = new Holdfast({ url: server.url, realm: name, WebSocket: null });
    const { as_of } = await other.claim("b", "ann");
    const saved = JSON.parse(JSON.stringify(await first.saved.first((s) => s.seq >= as_of)));
    first.watch.close();
    expect(await first.watch.ended).toBeUndefined();
    await other.claim("a", "ann");
    const second = watching(new Holdfast({ url: server.url, realm: name }), "ann", { via, from: saved });
    expect(second.watch.claims.get("b")).toMatchObject({ status: "seated" });
    const change = await second.changes.first(() => true);
    expect(change.changed.map((r) => r.pool)).toEqual(["a"]);
    expect([...change.claims.keys()].sort()).toEqual(["a", "b"]);
  });

  test("another log: what it does not have is gone, and no number of the old one is used", async () => {
    const old = await Server.start(), name = "spring";
    for (const s of [old, server]) {
      await s.put("/v1/realms/spring");
      for (const pool of ["a", "b"]) await s.put(`/v1/realms/spring/pools/${pool}`, { capacity: 5 });
    }
    wire = await new Wire(old.url).start();
    try {
      const h = new Holdfast({ url: wire.url, realm: name, retries: 100 });
      const person = "ann" + via;
      await h.claim("a", person);
      await h.claim("b", person);
      const { states, changes } = watching(h, person, { via });
      await states.first(live);
      await new Holdfast({ url: server.url, realm: name, WebSocket: null }).claim("b", person);
      wire.moveTo(server.url);
      const change = await changes.first((c) => c.gone.length > 0);
      expect(change.gone).toEqual(["a"]);
      expect([...change.claims.keys()]).toEqual(["b"]);
      expect(await h.claim("a", person)).toMatchObject({ status: "seated" });
    } finally {
      await old.remove();
    }
  });

  test("counts and the opening: the countdown runs, and nobody refreshes", async () => {
    const opens_at = new Date(Date.now() + 1500).toISOString();
    const name = await realm(server, { a: { capacity: 3, opens_at }, b: { capacity: 5 } });
    const h = new Holdfast({ url: server.url, realm: name });
    const { watch, openings, counts, states } = watching(h, "ann", { via, pools: ["a"] });
    await states.first(live);
    const first = await openings.first(() => true);
    expect(first).toMatchObject({ pool: "a", open: false });
    expect(first.remaining()).toBeGreaterThan(0);
    expect(first.remaining()).toBeLessThanOrEqual(1500);
    expect(await counts.first((c) => c.pool === "a")).toMatchObject({ capacity: 3, free: 3 });
    if (via === "events") return; // they are looked at each half minute
    await openings.first((o) => o.open);
    expect(await h.claim("a", "ann")).toMatchObject({ status: "seated" });
    await counts.first((c) => c.seated === 1);
    watch.subscribe("b");
    await counts.first((c) => c.pool === "b");
    watch.unsubscribe("b");
  });

  test("a pool that is not there is said, and the others are followed", async () => {
    const name = await realm(server, { a: { capacity: 3 }, c: { capacity: 4 } });
    const refused = new Seen<string[]>();
    const { counts } = watching(new Holdfast({ url: server.url, realm: name }), "ann", { via, pools: ["a", "b", "c"],
      onRefused: (...r) => refused.add(r) });
    expect(await refused.first(() => true)).toEqual(["b", "unknown_pool"]);
    await counts.first((c) => c.pool === "a");
    await counts.first((c) => c.pool === "c");
  });

  test("an end that is final has its reason", async () => {
    const nowhere = watching(new Holdfast({ url: server.url, realm: "nowhere" }), "ann", { via });
    expect(await nowhere.watch.ended).toMatchObject({ name: "HoldfastError" });
    expect(nowhere.states.all.at(-1)).toMatchObject({ state: "ended", error: { name: "HoldfastError" } });
    const stop = new AbortController();
    const { watch, states } = watching(new Holdfast({ url: server.url, realm: await realm(server) }), "ann", { via, signal: stop.signal });
    await states.first(live);
    stop.abort();
    expect(await watch.ended).toBeUndefined();
  });
});

test("commands over the open connection: preapproved, then confirmed, many at once", async () => {
  const pools = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`p${i}`, { capacity: 1 }]));
  const name = await realm(server, pools);
  const noHTTP: typeof fetch = async () => { throw new Error("over HTTP"); };
  const h = new Holdfast({ url: server.url, realm: name, fetch: noHTTP });
  const { watch, states } = watching(h, "ann", { via: "websocket" });
  await states.first(live);
  const early: ClaimAnswer[] = [];
  const answers = await Promise.all(Object.keys(pools).map((pool) => h.claim(pool, "ann", { onPreapproved: (a) => early.push(a) })));
  for (const a of answers) expect(a).toMatchObject({ status: "seated", durability: "confirmed", person: "ann" });
  expect(early.length).toBeGreaterThan(0);
  for (const a of early) expect(a).toMatchObject({ status: "seated", durability: "preapproved" });
  expect(await h.claim("nowhere", "ann")).toMatchObject({ status: "refused", refused: { code: "unknown_pool" } });
  expect(await h.release("p0", "ann")).toMatchObject({ status: "released", durability: "confirmed" });
  expect(await h.swap("p0", "ann", "p1")).toMatchObject({ pool: "p0", status: "seated" });
  expect(await h.basket("ann", "each", [{ pool: "p1" }, { pool: "nowhere2" }])).toMatchObject({ status: "refused", refused: { code: "unknown_pool" } });
  expect(await h.basket("ann", "all", [{ pool: "p1" }])).toMatchObject({ status: "done", items: [{ pool: "p1", status: "seated" }] });
  expect(await h.accept("p1", "ann", 7)).toMatchObject({ status: "seated" });
  expect(watch.claims.get("p1")).toMatchObject({ status: "seated" });
});

test("a claim whose connection breaks is asked for again over HTTP", async () => {
  const name = await realm(server, { a: { capacity: 5 } });
  wire = await new Wire(server.url).start();
  const h = new Holdfast({ url: server.url, realm: name, WebSocket: class extends WebSocket {
    constructor(url: string) { super(url.replace(new URL(server.url).host, new URL(wire!.url).host)); }
  } as any });
  const { states } = watching(h, "ann", { via: "websocket" });
  await states.first(live);
  const claim = h.claim("a", "ann");
  queueMicrotask(() => queueMicrotask(() => wire!.cut()));
  expect(await claim).toMatchObject({ status: "seated", seat: 1, durability: "confirmed" });
  expect(await h.pool("a")).toMatchObject({ seated: 1 });
});

test("where WebSockets are cut, server-sent events do", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  // A proxy that passes plain requests and cuts upgrades.
  wire = await new Wire(server.url).start();
  const guard = createServer((near) => near.once("data", (head) => {
    if (/upgrade: websocket/i.test(head.toString())) return near.destroy();
    const to = new URL(wire!.url);
    import("node:net").then(({ connect }) => {
      const far = connect(Number(to.port), to.hostname);
      far.write(head);
      near.pipe(far).pipe(near);
      near.on("error", () => far.destroy()), far.on("error", () => near.destroy());
      near.on("close", () => far.destroy()), far.on("close", () => near.destroy());
    });
  }));
  await new Promise<void>((resolve) => guard.listen(0, "127.0.0.1", resolve));
  const h = new Holdfast({ url: `http://127.0.0.1:${(guard.address() as any).port}`, realm: name });
  const { states, changes } = watching(h, "ann", {});
  expect(await states.first(live)).toEqual({ state: "live", via: "events" });
  await h.claim("a", "ann");
  await changes.first(is("a", "seated"));
  guard.close();
});

test("without a WebSocket, server-sent events from the start", async () => {
  const name = await realm(server, { a: { capacity: 1 } });
  const { states } = watching(new Holdfast({ url: server.url, realm: name, WebSocket: null }), "ann", {});
  expect(await states.first(live)).toEqual({ state: "live", via: "events" });
  expect(states.all).toHaveLength(2);
});
