package rush

import (
	"bytes"
	"fmt"
	"os"
)

// residentBytes is the resident memory of a process; 0 = it cannot be told.
func residentBytes(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	return int64(leadingNumber(bytes.TrimLeft(rest, " \t"))) << 10
}
