package server

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"

	"holdfast/engine"
	"holdfast/internal/wire"
)

// trusted says whether errors may be told as they are: they name files, hosts and users. Where tokens are asked for, what is public tells
// strangers only that something failed; the server's log says what, and /v1/log what keeps the mirror.
func (c *call) trusted() bool { return c.auth == nil || c.route.role != Public }

func getHealth(c *call) int {
	select {
	case <-c.engine.Done():
		if err := c.engine.Err(); err != nil {
			return c.write(http.StatusServiceUnavailable, jsonType, func(b []byte) []byte {
				b = append(b, `{"status":"failed"`...)
				if c.trusted() {
					b = wire.AppendString(append(b, `,"detail":`...), err.Error())
				}
				return append(b, '}')
			})
		}
	default:
	}
	return c.write(http.StatusOK, jsonType, func(b []byte) []byte { return append(b, `{"status":"ok"}`...) })
}

// readiness is a word for whether commands are taken, and why not.
func (c *call) readiness() (word, detail string) {
	select {
	case <-c.engine.Done():
		if err := c.engine.Err(); err != nil {
			return "failed", err.Error()
		}
		return "stopping", ""
	default:
	}
	if c.calls.closing() {
		return "stopping", ""
	}
	switch err := c.engine.Ready(); {
	case err == nil:
		return "ready", ""
	case errors.Is(err, engine.ErrStopped):
		return "stopping", err.Error()
	default:
		return "busy", err.Error()
	}
}

func getReady(c *call) int {
	word, detail := c.readiness()
	status := http.StatusServiceUnavailable
	if word == "ready" {
		status = http.StatusOK
	}
	return c.write(status, jsonType, func(b []byte) []byte {
		b = append(b, `{"status":"`+word+`"`...)
		if detail != "" && c.trusted() {
			b = wire.AppendString(append(b, `,"detail":`...), detail)
		}
		return append(c.appendMirror(b), '}')
	})
}

// appendMirror appends how the mirror is. It never turns /readyz red: claims do not need it.
func (c *call) appendMirror(b []byte) []byte {
	if c.recorder == nil {
		return b
	}
	state, lag, err := c.recorder.Status()
	recorded := c.recorder.Recorded()
	b = append(b, `,"mirror":{"state":`...)
	b = wire.AppendString(b, state)
	b = append(b, `,"recorded":`...)
	b = strconv.AppendUint(b, recorded, 10)
	b = append(b, `,"lag_events":`...)
	b = strconv.AppendUint(b, behind(c.engine.Durable().Seq, recorded), 10)
	b = append(b, `,"lag_seconds":`...)
	b = strconv.AppendFloat(b, lag.Seconds(), 'f', 3, 64)
	if err != nil && c.trusted() {
		b = wire.AppendString(append(b, `,"error":`...), err.Error())
	}
	return append(b, '}')
}

func getLog(c *call) int {
	at := c.engine.Durable()
	return c.write(http.StatusOK, jsonType, func(b []byte) []byte {
		b = append(b, `{"log_id":"`+hex.EncodeToString(at.LogID[:])+`","epoch":`...)
		b = strconv.AppendUint(b, at.Epoch, 10)
		b = append(b, `,"first":`...)
		b = strconv.AppendUint(b, c.engine.First(), 10)
		b = append(b, `,"durable":`...)
		b = strconv.AppendUint(b, at.Seq, 10)
		if c.recorder != nil {
			b = append(b, `,"recorded":`...)
			b = strconv.AppendUint(b, c.recorder.Recorded(), 10)
		}
		return append(c.appendMirror(b), '}')
	})
}
