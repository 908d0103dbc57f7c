package client

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code says what went wrong or was refused. The server's codes are those of docs/API.md.
type Code string

// Codes of refusals.
const (
	NotOpen      Code = "not_open"     // Refusal.OpensAt
	Closed       Code = "closed"       // Refusal.ClosedAt
	Full         Code = "full"         //
	Limit        Code = "limit"        // Refusal.Limit
	Group        Code = "group"        // Refusal.HeldPool
	NoOffer      Code = "no_offer"     //
	NoSeat       Code = "no_seat"      // Refusal.HeldPool
	SwapPending  Code = "swap_pending" // Refusal.HeldPool
	NotAll       Code = "not_all"      // item of a basket: not done because of another one
	Precondition Code = "precondition" // Refusal.Seq: the standing is not the one that was named
	UnknownRealm Code = "unknown_realm"
	UnknownPool  Code = "unknown_pool"
)

// Codes of errors.
const (
	busyCode            Code = "busy"
	unknownCode         Code = "unknown"
	limitedCode         Code = "limited"
	unauthenticatedCode Code = "unauthenticated"
	forbiddenCode       Code = "forbidden"
	malformedCode       Code = "malformed"

	// These are the client's own; no server sends them.
	brokenCode Code = "broken"
	closedCode Code = "client_closed"
)

// What errors.Is finds in an *Error.
var (
	// ErrBusy: the server had no room. Nothing was recorded and no place in line was given.
	ErrBusy = errors.New("the server is busy")
	// ErrUnknown: the server cannot tell whether it took effect. It was not refused.
	ErrUnknown = errors.New("the server cannot tell whether it took effect")
	// ErrLimited: this token asks more often than it may. Nothing was recorded.
	ErrLimited = errors.New("asked too often")
	// ErrUnauthenticated: there is no token, or the server does not take it.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrForbidden: the token is not for this.
	ErrForbidden = errors.New("not allowed")
	// ErrMalformed: the request itself is wrong; Error.Field says where.
	ErrMalformed = errors.New("malformed")
	// ErrBroken: the server could not be reached, the connection broke, or what answered was not Holdfast.
	ErrBroken = errors.New("the connection broke")
	// ErrClosed: the Live or Watcher was closed.
	ErrClosed = errors.New("closed by its owner")
)

var sentinels = map[Code]error{
	busyCode: ErrBusy, unknownCode: ErrUnknown, limitedCode: ErrLimited, unauthenticatedCode: ErrUnauthenticated,
	forbiddenCode: ErrForbidden, malformedCode: ErrMalformed, brokenCode: ErrBroken, closedCode: ErrClosed,
}

// Error is why nothing was decided, as far as the client knows. errors.Is finds ErrBusy and the others in it, and the
// context's error where the context ended it.
type Error struct {
	Code   Code
	Status int    // of the HTTP answer, or the code with which a connection was closed; 0 = there was none
	Field  string // malformed: what is wrong
	Detail string
	// RetryAfter is how long the server asks to wait; 0 = it did not say.
	RetryAfter time.Duration
	// Attempts is how often it was asked.
	Attempts int
	// InDoubt says that it may have taken effect all the same: ask again, or look.
	InDoubt bool

	cause error // may be nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("holdfast: ")
	b.WriteString(string(e.Code))
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (asked %d times)", e.Attempts)
	}
	if e.InDoubt {
		b.WriteString(" (it may have taken effect)")
	}
	return b.String()
}

// Is matches the error of its code.
func (e *Error) Is(target error) bool { return sentinels[e.Code] == target }

// Unwrap gives what caused it, where that was an error of this side.
func (e *Error) Unwrap() error { return e.cause }

// passes says whether it may be otherwise in a moment.
func (e *Error) passes() bool {
	switch e.Code {
	case busyCode, unknownCode, limitedCode, brokenCode:
		return true
	}
	return false
}

// passing says whether err is an *Error that passes.
func passing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.passes()
}

// inDoubt says whether err is an *Error of what may have taken effect.
func inDoubt(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.InDoubt
}

func broken(detail string, cause error, inDoubt bool) *Error {
	return &Error{Code: brokenCode, Detail: detail, cause: cause, InDoubt: inDoubt}
}
