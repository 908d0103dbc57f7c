import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/*.test.ts"],
    globalSetup: "test/build.ts",
    pool: "forks",
    // Node 20 has a WebSocket only so; the tests of server-sent events do without it.
    execArgv: ["--experimental-websocket", "--no-warnings"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
