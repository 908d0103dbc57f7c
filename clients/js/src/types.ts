// The messages, as docs/API.md and docs/PROTOCOL.md have them. Names are those of the wire.

/** How far an answer has got: decided in memory, on stable storage, in the customer's database. */
export type Durability = "preapproved" | "confirmed" | "recorded";

interface Made {
  /** The number of the event that made the standing. Only in confirmed answers. */
  seq?: number;
  /** When the standing was made; RFC 3339, UTC. */
  at: string;
}
export interface None extends Made { status: "none" }
export interface Released extends Made { status: "released" }
export interface Entered extends Made { status: "entered" }
export interface Seated extends Made { status: "seated"; /** from 1 */ seat: number }
export interface Waiting extends Made {
  status: "waiting";
  /** Place in line; 1 is next. */
  position: number;
  ticket: number;
  /** The pool whose seat is given up when this one is certain. */
  swap?: string;
  /** Why the person may not sit now; the place in line is kept. */
  blocked?: "limit" | "group";
}
export interface Offered extends Made {
  status: "offered";
  seat: number;
  /** The number that accept names. Only in confirmed answers. */
  offer?: number;
  /** The last instant to accept, exclusive. */
  deadline: string;
  swap?: string;
}
/** Where a person stands in a pool. */
export type Standing = None | Released | Entered | Seated | Waiting | Offered;

/** Why the rules refuse, with the fact that explains it. */
export type Reason =
  | { code: "not_open"; opens_at: string }
  | { code: "closed"; closed_at: string }
  | { code: "full" | "no_offer" | "conflict" | "not_all" | "unknown_pool" | "unknown_realm" }
  | { code: "limit"; limit: number }
  | { code: "group" | "no_seat" | "swap_pending"; held_pool: string }
  /** The standing is not the one the caller knew; seq is its number now. */
  | { code: "precondition"; seq?: number };

/** A refusal is an answer: decided, true at that instant, and no place in line. */
export interface Refused { status: "refused"; refused: Reason; title?: string; detail?: string }

/** What every decided answer has. */
export interface Stamp {
  durability: Durability;
  /** The head of the log at the decision: of two answers about one thing the higher is the later. */
  as_of: number;
}
interface OfClaim extends Stamp { realm: string; pool: string; person: string }
export type ClaimAnswer = (Standing | Refused) & OfClaim;

export type Mode = "all" | "each" | "each_or_wait";
export interface Item {
  pool: string;
  /** The pool whose seat is given up once this one is certain. */
  swap?: string;
  /** Left out: what the client knows. */
  if_seq?: number;
}
export type ItemAnswer = { pool: string } & (Standing | { status: "refused"; refused: Reason });
export type BasketAnswer = Stamp & { realm: string; person: string; items: ItemAnswer[] }
  & ({ status: "done"; mode: Mode } | Refused);

/** One standing among those of a person. */
export type Row = { pool: string } & Standing;
export type StandingsAnswer = Stamp & { realm: string; person: string }
  & ({ status: "done"; claims: Row[] } | (Refused & { claims?: undefined }));

export interface Counts {
  pool: string;
  capacity: number;
  seated: number;
  offered: number;
  waiting: number;
  /** People in a lottery, before its draw. */
  entered?: number;
  free: number;
  over: number;
}
export type PoolAnswer = Stamp & { realm: string; pool: string } & ((Counts & {
  status: "there";
  waitlist?: number;
  opens_at?: string;
  closes_at?: string;
  promote_until?: string;
  promotion: "auto" | "offer";
  answer_seconds?: number;
  group?: string;
  order: "arrival" | "lottery";
  data?: unknown;
  seq?: number;
  at: string;
}) | Refused);

/** Where a watch has got to: the log's id and the last as_of of a claims push. */
export interface Cursor { log: string; seq: number }

/** When a pool opens, by the server's clock. */
export interface Opening {
  pool: string;
  open: boolean;
  opens_at: string;
  /** Milliseconds until it opens, now; 0 once it is open. Counts on by itself, whatever the clock of this machine says. */
  remaining(): number;
}

/** The one error: the call was not decided, or not in a way that the client may tell. Never a refusal. */
export class HoldfastError extends Error {
  override name = "HoldfastError";
  constructor(
    /** A code of docs/API.md (malformed, forbidden, busy, unknown …), or timeout, network, ended. */
    readonly code: string,
    message: string,
    /** The last answer, if there was one that is not confirmed yet. */
    readonly preapproved?: unknown,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}
