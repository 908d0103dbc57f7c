package play

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/lxzan/gws"
)

// LeadingNumber reads digits.
func LeadingNumber(b []byte) uint64 {
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// MessageStatus is what the HTTP status of an answer would be: that of a problem is in it, as a number.
func MessageStatus(line []byte) int {
	const name = `"status":`
	for rest := line; ; {
		i := bytes.Index(rest, []byte(name))
		if i < 0 {
			break
		}
		rest = rest[i+len(name):]
		if n := LeadingNumber(rest); n > 0 {
			return int(n)
		}
	}
	if bytes.Contains(line, []byte(`"durability":"preapproved"`)) {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// RetryAfter is what a put-off answer asks for; 20 ms if it does not.
func RetryAfter(line []byte) time.Duration {
	const name = `"retry_after_ms":`
	if i := bytes.Index(line, []byte(name)); i >= 0 {
		return time.Duration(min(LeadingNumber(line[i+len(name):]), 10_000)) * time.Millisecond
	}
	return 20 * time.Millisecond
}

// closing is the reason of a close code that asks for a wait.
type closing struct {
	DelayMS int64 `json:"delay_ms"`
}

// ComeBack says when to come back after a connection ended; an error: never, without something new.
func ComeBack(err error, jitter func(time.Duration) time.Duration, tries int) (time.Duration, error) {
	var final *finalError
	if errors.As(err, &final) {
		return 0, final.error
	}
	var later *laterError
	if errors.As(err, &later) && later.wait > 0 {
		return later.wait + jitter(later.wait/4), nil
	}
	backOff := jitter(min(20*time.Millisecond<<min(tries, 8), 5*time.Second))
	var closed *gws.CloseError
	if !errors.As(err, &closed) {
		return backOff, nil
	}
	switch code := closed.Code; {
	case code == 1012 || code == 1013:
		var c closing
		if json.Unmarshal(closed.Reason, &c) == nil && c.DelayMS > 0 {
			return time.Duration(c.DelayMS) * time.Millisecond, nil
		}
	case code == 4429:
		return time.Minute, nil
	case code == 4500, code == 4408:
	case code == 1009, code == 1002, code == 1003, code == 1007, code >= 4400 && code <= 4499:
		return 0, fmt.Errorf("the server closed a connection with %d %s", code, closed.Reason)
	}
	return backOff, nil
}

// finalError is one that trying again does not help against; laterError says when to.
type (
	finalError struct{ error }
	laterError struct {
		error
		wait time.Duration
	}
)

func HandshakeError(resp *http.Response, err error) error {
	if resp == nil {
		return err
	}
	err = fmt.Errorf("GET …/ws: the server answered %d: %w", resp.StatusCode, err)
	switch resp.StatusCode {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusGatewayTimeout:
		seconds, _ := strconv.ParseFloat(resp.Header.Get("Retry-After"), 64) // nothing said: at once, backing off
		return &laterError{err, time.Duration(min(max(seconds, 0), 60) * float64(time.Second))}
	}
	return &finalError{err}
}
