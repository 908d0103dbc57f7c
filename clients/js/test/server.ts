// A real server on a port of its own, and ways to stand between it and the client.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, connect, type AddressInfo, type Server as NetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { inject } from "vitest";

export class Server {
  url = "";
  #process: ChildProcess | undefined;
  #dir = mkdtempSync(join(tmpdir(), "holdfast-js-data-"));

  static async start(...flags: string[]): Promise<Server> {
    const server = new Server();
    await server.run(flags);
    return server;
  }

  /** Starts it, again on the same port and log if it ran before. */
  async run(flags: string[] = []): Promise<void> {
    const listen = this.url ? new URL(this.url).host : "127.0.0.1:0";
    const child = spawn(inject("holdfast"), ["serve", "--listen", listen, "--database", "none", "--data", this.#dir, ...flags],
      { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    let said = "";
    child.stderr!.on("data", (data) => { said += data; });
    this.url = await new Promise<string>((resolve, reject) => {
      child.on("exit", () => reject(new Error(`the server did not start:\n${said}`)));
      createInterface(child.stdout!).on("line", (line) => {
        said += line + "\n";
        const url = /listens on (http:\S+)/.exec(line)?.[1];
        if (url) resolve(url);
      });
    });
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** What the clients do not do: realms and pools. */
  async put(path: string, body: unknown = {}): Promise<any> {
    const response = await fetch(this.url + path, { method: "PUT", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

let rooms = 0;
/** A realm with pools of its own, so that tests do not meet. */
export async function realm(server: Server, pools: Record<string, object> = {}, limits: object = {}): Promise<string> {
  const name = `r${++rooms}`;
  await server.put(`/v1/realms/${name}`, limits);
  for (const [pool, config] of Object.entries(pools)) await server.put(`/v1/realms/${name}/pools/${pool}`, config);
  return name;
}

/** A wire between client and server that can be cut. */
export class Wire {
  url = "";
  open = true;
  #sockets = new Set<Socket>();
  #listener: NetServer;

  constructor(private target: string) {
    this.#listener = createServer((near) => {
      if (!this.open) return near.destroy();
      const to = new URL(this.target);
      const far = connect(Number(to.port), to.hostname);
      for (const [a, b] of [[near, far], [far, near]] as const) {
        this.#sockets.add(a);
        a.on("error", () => {}).on("close", () => { this.#sockets.delete(a); b.destroy(); });
        a.pipe(b);
      }
    });
  }

  async start(): Promise<this> {
    this.#listener.listen(0, "127.0.0.1");
    await once(this.#listener, "listening");
    this.url = `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
    return this;
  }

  cut(open = false): void {
    this.open = open;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** The same address, another server. */
  moveTo(target: string): void { this.target = target; this.cut(true); }

  stop(): void { this.cut(); this.#listener.close(); }
}

/** Calls that resolve later: collects what a callback got, and waits for something among it. */
export class Seen<T> {
  readonly all: T[] = [];
  #wake: (() => void)[] = [];

  readonly add = (value: T): void => {
    this.all.push(value);
    for (const wake of this.#wake.splice(0)) wake();
  };

  async first(fits: (value: T) => boolean, from = 0): Promise<T> {
    for (let i = from; ; i++) {
      while (i >= this.all.length) await new Promise<void>((resolve) => this.#wake.push(resolve));
      if (fits(this.all[i]!)) return this.all[i]!;
    }
  }
}
