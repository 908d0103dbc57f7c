package rush

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain: every student, dialler and reader has an end. The connections that the standard client keeps are not the rush's.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
