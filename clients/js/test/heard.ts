// Watches of tests: everything they say is kept, and they are closed at the end.
import { afterEach } from "vitest";
import type { Change, Counts, Holdfast, Opening, Row, Saved, Watch, WatchOptions, WatchState } from "../src/index.js";
import { Seen } from "./server.js";

const watches: Watch[] = [];
afterEach(async () => {
  for (const watch of watches.splice(0)) {
    watch.close();
    await watch.ended;
  }
});

interface Heard { states: Seen<WatchState>; changes: Seen<Change>; saved: Seen<Saved>; counts: Seen<Counts>; openings: Seen<Opening> }

export function watching(h: Holdfast, person: string, options: WatchOptions): Heard & { watch: Watch } {
  const heard: Heard = { states: new Seen(), changes: new Seen(), saved: new Seen(), counts: new Seen(), openings: new Seen() };
  const watch = h.watch(person, { onState: heard.states.add, onClaims: heard.changes.add, onSaved: heard.saved.add, onCounts: heard.counts.add,
    onOpening: heard.openings.add, ...options });
  watches.push(watch);
  return { ...heard, watch };
}

export const live = (s: WatchState) => s.state === "live";
export const row = (change: Change, pool: string): Row | undefined => change.changed.find((r) => r.pool === pool);
export const is = (pool: string, status: Row["status"]) => (change: Change) => row(change, pool)?.status === status;
