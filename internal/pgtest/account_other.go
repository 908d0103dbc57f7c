//go:build !linux

package pgtest

import (
	"errors"
	"os"
	"os/exec"
)

// account is whom the server runs as: ourselves, since Postgres refuses root.
type account struct{}

func unprivileged() (*account, error) {
	if os.Geteuid() == 0 {
		return nil, errors.New("run these tests as another user than root: initdb refuses it")
	}
	return &account{}, nil
}

func (a *account) own(string) error   { return nil }
func (a *account) run(*exec.Cmd)      {}
func (a *account) quit(cmd *exec.Cmd) { cmd.Process.Signal(os.Interrupt) }
