// A real browser: a page of another origin claims and watches. Skipped where there is no Chromium.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Holdfast } from "../src/index.js";
import { Seen, Server, realm } from "./server.js";

const chromium = ["chromium", "chromium-browser", "google-chrome"].flatMap((name) => (process.env["PATH"] ?? "").split(":").map((dir) => join(dir, name)))
  .find((path) => { try { accessSync(path, constants.X_OK); return true; } catch { return false; } });
if (!chromium) console.warn("browser.test.ts: there is no chromium on the PATH: what needs a browser is skipped");

test.skipIf(!chromium).each(["websocket", "events"])("a page claims, and is told when it is promoted: %s", async (via) => {
  const told = new Seen<any>();
  const site = createServer((request, response) => {
    const path = new URL(request.url!, "http://x").pathname;
    if (path === "/tell") {
      let body = "";
      request.on("data", (data) => { body += data; }).on("end", () => { told.add(JSON.parse(body)); response.end(); });
    } else if (path === "/" || /^\/dist\/\w+\.js$/.test(path)) {
      response.setHeader("content-type", path === "/" ? "text/html" : "text/javascript");
      response.end(readFileSync(join(import.meta.dirname, path === "/" ? "page.html" : ".." + path)));
    } else {
      response.writeHead(404).end();
    }
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const server = await Server.start("--origin", origin);
  const profile = mkdtempSync(join(tmpdir(), "holdfast-js-page-"));
  let browser;
  try {
    const name = await realm(server, { c0101: { capacity: 1 } });
    const other = new Holdfast({ url: server.url, realm: name, WebSocket: null });
    await other.claim("c0101", "bob");
    const page = `${origin}/?${new URLSearchParams({ url: server.url, realm: name, via })}`;
    browser = spawn(chromium!, ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`,
      "--remote-debugging-port=0", page], { stdio: "ignore", detached: true });
    const first = await told.first((t) => t.answer || t.error);
    expect(first.answer).toMatchObject({ status: "waiting", position: 1, durability: "confirmed" });
    await told.first((t) => t.row?.status === "waiting");
    await other.release("c0101", "bob");
    expect((await told.first((t) => t.row?.status === "seated")).row).toMatchObject({ pool: "c0101", seat: 1 });
  } finally {
    if (browser?.pid) {
      const ended = once(browser, "exit");
      process.kill(-browser.pid, "SIGKILL"); // its own group: a browser is many processes
      await ended;
    }
    site.closeAllConnections();
    site.close();
    await server.remove();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});
