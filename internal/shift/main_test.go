package shift

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: every agent, client, dialler and reader has an end. The connections that the standard client keeps are not the shift's.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
