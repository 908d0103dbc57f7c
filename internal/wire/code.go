package wire

import (
	"net/http"

	"holdfast"
	"holdfast/desk"
	"holdfast/seat"
)

// Codes beside those of the rules. They are on the wire: never change one.
const (
	Malformed     holdfast.Code = "malformed"          // the request itself is wrong; Problem.Field says where
	NotFound      holdfast.Code = "not_found"          // no such path
	BadMethod     holdfast.Code = "method_not_allowed" // the path is there, the method is not
	TooLarge      holdfast.Code = "too_large"          // the body is longer than MaxBody
	MediaType     holdfast.Code = "unsupported_media_type"
	Forbidden     holdfast.Code = "forbidden"      // who asks may not
	Trimmed       holdfast.Code = "trimmed"        // the feed no longer reaches back that far; Problem.First says how far
	OtherLog      holdfast.Code = "other_log"      // the cursor belongs to another log than this server's
	NotAcceptable holdfast.Code = "not_acceptable" // none of the media types asked for can be given
	Busy          holdfast.Code = "busy"           // no place in line was given, nothing was recorded: ask again
	Unknown       holdfast.Code = "unknown"        // whether it took effect cannot be told: ask again. Never means refused
)

// Codes of whoever asks. They are on the wire: never change one.
const (
	Unauthenticated holdfast.Code = "unauthenticated"   // no token, or one that proves nothing
	NoAuth          holdfast.Code = "no_authentication" // the server has none, so it gives no tickets
	UpgradeNeeded   holdfast.Code = "upgrade_required"  // the path is a WebSocket's
	Limited         holdfast.Code = "limited"           // one person asks too often; Problem.RetryAfterMS says how long to wait
)

// Codes of what is looked at and not there, beside desk.UnknownRequest. They are on the wire: never change one.
const (
	UnknownOffer   holdfast.Code = "unknown_offer"
	UnknownSession holdfast.Code = "unknown_session"
)

// MaxBody is the most bytes of a request's body.
const MaxBody = 64 << 10

// Meaning is one row of the table: what a code is over HTTP.
type Meaning struct {
	Code   holdfast.Code
	Status int
	Title  string
	Detail string // of a refusal; the rest say what is wrong in their own words
}

// meanings is the one table of codes. New ones go at the end.
var meanings = [...]Meaning{
	{seat.NotOpen, http.StatusConflict, "The pool is not open yet", "It takes claims from opens_at on."},
	{seat.Closed, http.StatusConflict, "The pool is closed", "It has taken no claims since closed_at."},
	{seat.Full, http.StatusConflict, "The pool is full", "No seat is free for the person, and the waiting line is full or there is none. No place in line was given."},
	{seat.LimitSeats, http.StatusConflict, "The person has as many as the realm allows", "The realm allows each person as many seats or places in line as limit says."},
	{seat.HeldInGroup, http.StatusConflict, "The person holds a seat in this group", "A person holds one seat among the pools of a group; this person's is in held_pool. Swap it in a basket."},
	{seat.Mismatch, http.StatusPreconditionFailed, "The standing is not the one named", "Something changed the standing since; seq is its number now (absent: there is none, or it is not confirmed yet). Nothing was changed."},
	{seat.NoOffer, http.StatusConflict, "There is no such seat offer", "There is no seat offer with this number (any more). Nothing was changed."},
	{seat.NoSeat, http.StatusConflict, "The seat to give up is not held", "A swap gives up a seat in held_pool, and the person has none there."},
	{seat.SwapPending, http.StatusConflict, "The seat to give up is part of another swap", "That seat is given up by the swap that waits in held_pool."},
	{seat.Conflict, http.StatusConflict, "The group and the order cannot change while claims live", "Release the claims first, or keep the group and the order. Nothing was changed."},
	{seat.UnknownPool, http.StatusNotFound, "No such pool", "Nobody has put a pool of this name in the realm."},
	{seat.NotAll, http.StatusConflict, "Another item of the basket was refused", "Nothing was changed: the basket is all or nothing."},
	{holdfast.UnknownRealm, http.StatusNotFound, "No such realm", "Nobody has put a realm of this name."},
	{Malformed, http.StatusBadRequest, "The request is malformed", ""},
	{NotFound, http.StatusNotFound, "No such path", ""},
	{BadMethod, http.StatusMethodNotAllowed, "The path does not take this method", ""},
	{TooLarge, http.StatusRequestEntityTooLarge, "The body is too large", ""},
	{MediaType, http.StatusUnsupportedMediaType, "The body must be JSON", ""},
	{Forbidden, http.StatusForbidden, "Not allowed", ""},
	{Trimmed, http.StatusGone, "The log no longer reaches back that far", ""},
	{OtherLog, http.StatusConflict, "The cursor belongs to another log", ""},
	{NotAcceptable, http.StatusNotAcceptable, "No such form of the answer", ""},
	{Busy, http.StatusServiceUnavailable, "Busy: nothing was recorded, ask again", ""},
	{Unknown, http.StatusServiceUnavailable, "Unknown: ask again", ""},
	{Unauthenticated, http.StatusUnauthorized, "Not authenticated", ""},
	{Limited, http.StatusTooManyRequests, "Too often: nothing was recorded, ask again", ""},
	{UpgradeNeeded, http.StatusUpgradeRequired, "This is a WebSocket", ""},
	{NoAuth, http.StatusConflict, "No authentication", ""},
	{desk.UnknownDesk, http.StatusNotFound, "No such desk", "Nobody has put a desk of this name in the realm."},
	{desk.UnknownAgent, http.StatusNotFound, "No such agent", "The desk has no agent of this name."},
	{desk.UnknownTopic, http.StatusNotFound, "No such topic", "The desk has no such topic; where it has any, one must be named."},
	{desk.UnknownRequest, http.StatusNotFound, "No such request", "The desk has no request of this number, or not any more."},
	{desk.NoAgent, http.StatusConflict, "Nobody is ready", "No agent is ready for this, and the desk keeps no queue. Nothing was recorded."},
	{desk.QueueFull, http.StatusConflict, "The queue is full", "As many requests wait as the desk lets wait: limit. Nothing was recorded."},
	{desk.OfferClosed, http.StatusConflict, "The offer is not open to you", "It was answered or ended before (offer and cause say how), or it was never this agent's. Nothing was changed."},
	{desk.SessionEnded, http.StatusConflict, "There is no such session", "It has ended before, or there never was one for whoever says so. Nothing was changed."},
	{desk.NotConnected, http.StatusConflict, "Not connected", "The agent has no connection, and is not reached by push. Nothing was changed."},
	{desk.DeskLive, http.StatusConflict, "The topic is in use", "A request that has not ended is about a topic that would go. Nothing was changed."},
	{UnknownOffer, http.StatusNotFound, "No such offer", "The desk has no offer of this number, or not any more."},
	{UnknownSession, http.StatusNotFound, "No such session", "The desk has no session of this number, or not any more."},
}

var byCode = func() map[holdfast.Code]Meaning {
	m := make(map[holdfast.Code]Meaning, len(meanings))
	for _, row := range meanings {
		m[row.Code] = row
	}
	return m
}()

// Codes is the whole table.
func Codes() []Meaning { return append([]Meaning(nil), meanings[:]...) }

// Mean looks a code up. A code that the table lacks is a plain refusal: 409 with the code as its title.
func Mean(code holdfast.Code) Meaning {
	if m, ok := byCode[code]; ok {
		return m
	}
	return Meaning{code, http.StatusConflict, string(code), "The rules refuse it. Nothing was changed."}
}
