//go:build !linux

package play

import "syscall"

func processAttributes() *syscall.SysProcAttr { return nil }
