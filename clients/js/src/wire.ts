// Problems and answers: from what came to what the caller gets.
import { HoldfastError, type ClaimAnswer, type Reason } from "./types.js";
import type { Body, Outcome } from "./retry.js";

const facts = ["opens_at", "closed_at", "held_pool", "limit", "seq"] as const;

/** What an answer's body means, whichever way it came. Throws where asking again would not help. */
export function judge(body: Body, http_status?: number, retry_after?: string | null): Outcome {
  if (typeof body["code"] !== "string") return { kind: "answer", body };
  const code = body["code"];
  if (code === "busy" || code === "limited" || code === "unknown" || http_status === 429 || http_status === 503) {
    const after = body["retry_after_ms"] ?? (retry_after ? Number(retry_after) * 1000 : undefined);
    return { kind: "again", code, lost: code === "unknown", ...(Number.isFinite(after) && { after }) };
  }
  // What was decided says how far it has got; the rest is no decision.
  if (typeof body["durability"] !== "string") throw new HoldfastError(code, say(body));
  return { kind: "answer", body: refusal(body) };
}

function say(body: Body): string {
  return `${body["code"]}: ${body["detail"] || body["title"] || "refused"}${body["field"] ? ` (${body["field"]})` : ""}`;
}

function refusal(body: Body): Body {
  const refused: Body = { code: body["code"] };
  for (const fact of facts) if (body[fact] !== undefined) refused[fact] = body[fact];
  const { realm, pool, person, title, detail, durability, as_of, items } = body;
  return { realm, pool, person, status: "refused", refused: refused as Reason, title, detail, durability, as_of,
    ...(items && { items: items.map(item) }) };
}

/** An item of a basket has its status also where it is refused. */
export function item(it: Body): Body { return it["refused"] ? { ...it, status: "refused" } : it; }

/** The answers in an answer: a basket has one of each item. */
export function claimsOf(body: Body): ClaimAnswer[] {
  if (!body["items"]) return [body as ClaimAnswer];
  const { realm, person, durability, as_of } = body;
  return body["items"].map((it: Body) => ({ realm, person, durability, as_of, ...item(it) }));
}

/** An id in a path. All of its characters may stand there, but for the two names that are directories. */
export function segment(id: string): string {
  if (!/^[A-Za-z0-9._~:@+|-]{1,128}$/.test(id) || id === "." || id === "..") {
    throw new HoldfastError("malformed", `malformed: not an id: ${JSON.stringify(id)}`);
  }
  return encodeURIComponent(id);
}
