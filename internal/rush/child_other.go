//go:build !linux

package rush

import "syscall"

func processAttributes() *syscall.SysProcAttr { return nil }
