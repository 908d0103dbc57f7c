package play

import (
	"bytes"
	"fmt"
	"os"
)

// ResidentBytes is the resident memory of a process; 0 = it cannot be told.
func ResidentBytes(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	return int64(LeadingNumber(bytes.TrimLeft(rest, " \t"))) << 10
}
