package play

import "syscall"

// processAttributes: a group of its own, so that ctrl-C reaches only us and we stop the child in order; and death with us,
// should we be killed. (The signal comes when the thread that started the child ends; Go ends a thread only when a
// goroutine locked to it ends, and none is locked here.)
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
