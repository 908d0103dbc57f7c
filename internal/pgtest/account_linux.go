package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is whom the server runs as: Postgres refuses root.
type account struct {
	cred *syscall.Credential // nil: as ourselves
}

// unprivileged picks the user postgres, else nobody, when we are root.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUser := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGroup := strconv.ParseUint(u.Gid, 10, 32)
		if errUser == nil && errGroup == nil && uid != 0 {
			return &account{cred: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return nil, fmt.Errorf("we are root, and there is neither a user postgres nor nobody to run initdb as")
}

func (a *account) own(dir string) error {
	if a.cred == nil {
		return nil
	}
	return os.Chown(dir, int(a.cred.Uid), int(a.cred.Gid))
}

// run makes cmd run as the account. The kernel kills the server should this process end without Close.
func (a *account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.cred, Pdeathsig: syscall.SIGQUIT}
}

func (a *account) quit(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGQUIT) // an error means that it is gone
}
