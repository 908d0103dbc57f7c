package wire

import (
	"net/http"

	"holdfast"
	"holdfast/desk"
)

// Close codes of a WebSocket. They are on the wire: never change one.
const (
	CloseNormal       = 1000
	CloseGone         = 1001 // the other side went away
	CloseProtocol     = 1002 // no WebSocket any more
	CloseUnsupported  = 1003 // a binary frame
	CloseNotUTF8      = 1007
	CloseTooLarge     = 1009
	CloseRestart      = 1012
	CloseCrowded      = 1013
	CloseMalformed    = 4400
	CloseUnauthorized = 4401
	CloseForbidden    = 4403
	CloseNotFound     = 4404
	CloseStranger     = 4408
	CloseSuperseded   = 4409 // another connection of the same agent or client took its place
	CloseFlood        = 4429
	CloseSlow         = 4500
	CloseFailed       = 4503
)

// Closing is one row of the table: what a close code is over HTTP, and whether a client comes back by itself.
type Closing struct {
	Close  int
	Status int           // the HTTP status for the same; 0 = there is none
	Code   holdfast.Code // the same as a code; empty = there is none
	Again  bool          // a client comes back, with its cursor, after the delay in the reason or backing off
}

// closings is the one table of close codes. New ones go at the end.
var closings = [...]Closing{
	{CloseNormal, 0, "", true},
	{CloseGone, 0, "", true},
	{CloseProtocol, http.StatusBadRequest, Malformed, false},
	{CloseUnsupported, http.StatusUnsupportedMediaType, MediaType, false},
	{CloseNotUTF8, http.StatusBadRequest, Malformed, false},
	{CloseTooLarge, http.StatusRequestEntityTooLarge, TooLarge, false},
	{CloseRestart, http.StatusServiceUnavailable, Busy, true},
	{CloseCrowded, http.StatusServiceUnavailable, Busy, true},
	{CloseMalformed, http.StatusBadRequest, Malformed, false},
	{CloseUnauthorized, http.StatusUnauthorized, Unauthenticated, false},
	{CloseForbidden, http.StatusForbidden, Forbidden, false},
	{CloseNotFound, http.StatusNotFound, holdfast.UnknownRealm, false},
	{CloseStranger, http.StatusRequestTimeout, "", true},
	{CloseFlood, http.StatusTooManyRequests, Limited, true},
	{CloseSlow, 0, "", true},
	{CloseFailed, http.StatusServiceUnavailable, Unknown, true},
	{CloseSuperseded, http.StatusConflict, desk.NotConnected, false},
}

// Closings is the whole table.
func Closings() []Closing { return append([]Closing(nil), closings[:]...) }

// Returns says whether a client whose connection was closed so comes back by itself, without something new. A code that the
// table lacks, and a connection that broke off without one, is one to come back from; 4400 to 4499 are not.
func Returns(code int) bool {
	for _, c := range closings {
		if c.Close == code {
			return c.Again
		}
	}
	return code < 4400 || code > 4499
}
