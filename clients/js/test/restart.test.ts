// A watch whose server ends and comes back. A file of its own, because the server says how long to stay away.
import { describe, test } from "vitest";
import { Holdfast } from "../src/index.js";
import { is, live, watching } from "./heard.js";
import { Server, realm } from "./server.js";

for (const via of ["websocket", "events"] as const) describe(via, () => {
  test.each(["SIGTERM", "SIGKILL"] as const)("the server ends by %s and comes back: nothing is missed", async (signal) => {
    const own = await Server.start();
    try {
      const name = await realm(own, { a: { capacity: 1 } });
      const other = new Holdfast({ url: own.url, realm: name, WebSocket: null });
      await other.claim("a", "bob");
      const h = new Holdfast({ url: own.url, realm: name });
      const { watch, states, changes } = watching(h, "ann", { via });
      await states.first(live);
      await h.claim("a", "ann");
      await own.stop(signal);
      await states.first((s) => s.state === "waiting");
      await own.run();
      await other.release("a", "bob");
      await changes.first(is("a", "seated"));
      watch.close();
      await watch.ended;
    } finally {
      await own.remove();
    }
  });
});
