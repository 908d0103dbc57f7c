// Not run: it has to pass the compiler, and what is marked must not.
import { Holdfast, HoldfastError, type ClaimAnswer } from "../src/index.js";

const h = new Holdfast({ url: "https://seats.example", realm: "spring", token: async () => "…" });

export function say(answer: ClaimAnswer): string {
  switch (answer.status) {
    case "seated": return `seat ${answer.seat}`;
    case "waiting": return `number ${answer.position}`;
    case "offered": return `yours until ${answer.deadline}: ${answer.offer}`;
    case "entered": case "none": case "released": return answer.status;
    case "refused":
      switch (answer.refused.code) {
        case "not_open": return answer.refused.opens_at;
        case "limit": return `no more than ${answer.refused.limit}`;
        case "group": return answer.refused.held_pool;
        case "precondition": return `now ${answer.refused.seq}`;
        default: return answer.refused.code;
      }
    default: return answer satisfies never;
  }
}

export async function use(signal: AbortSignal): Promise<void> {
  const answer = await h.claim("c0101", "s00017", { signal, onPreapproved: (early) => say(early) });
  // @ts-expect-error a seat only where it is seated
  answer.seat.toFixed();
  // @ts-expect-error why only where it is refused
  answer.refused;
  // @ts-expect-error no such mode
  await h.basket("s00017", "some", [{ pool: "a" }]);
  // @ts-expect-error accept names the offer
  await h.accept("c0101", "s00017");
  const pool = await h.pool("c0101", { signal });
  if (pool.status === "there") pool.free satisfies number;
  const watch = h.watch("s00017", { pools: ["c0101"], onOpening: (o) => o.remaining() satisfies number,
    onClaims: ({ changed }) => changed.filter((row) => row.status === "seated").map((row) => row.seat) });
  const why: HoldfastError | undefined = await watch.ended;
  why?.code;
}
