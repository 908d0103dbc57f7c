package shift

import (
	"fmt"

	"holdfast/internal/play"
)

// FilesError says that the limit of open files does not allow so many agents and clients on connections of their own.
type FilesError struct {
	Limit                  uint64 // open files that a process may have here
	Desks, Agents, Clients int    // asked for
	Fit                    int    // as many agents for each desk fit; 0 = not one
}

func (e *FilesError) Error() string {
	return fmt.Sprintf("%s with %s each and %s: each has a connection, which is an open file here and one in the server; a process may have %s here (ulimit -Hn), so %s for each desk fit",
		play.Count(e.Desks, "desk"), play.Count(e.Agents, "agent"), play.Count(e.Clients, "client"), play.Number(int(e.Limit)), play.Count(e.Fit, "agent"))
}

// Needed is the limit that would do.
func (e *FilesError) Needed() int { return e.Desks*e.Agents + e.Clients + spareFiles }

// spareFiles is what the shift and its server need beside the connections of agents and clients; a server that was killed may
// be followed by one whose connections come while the old ones still end.
const spareFiles = 256

// fitFiles makes room for the connections: it raises the limit of open files, and where that is not enough takes as many
// agents for each desk as fit, if that is allowed.
func fitFiles(cfg *Config) error {
	limit := play.OpenFiles()
	if limit == 0 || cfg.Desks*cfg.Agents+cfg.Clients+spareFiles <= int(limit) {
		return nil
	}
	fit := max(0, (int(limit)-spareFiles-cfg.Clients)/cfg.Desks)
	if !cfg.Fit || fit < 1 {
		return &FilesError{limit, cfg.Desks, cfg.Agents, cfg.Clients, fit}
	}
	cfg.Agents = fit
	return nil
}
