export { Holdfast, type CallOptions, type ClaimOptions, type Options } from "./holdfast.js";
export { Watch, type Change, type Saved, type WatchOptions, type WatchState } from "./watch.js";
export type { SocketMaker } from "./link.js";
export * from "./types.js";
