package rush

import (
	"fmt"

	"holdfast/internal/play"
)

// FilesError says that the limit of open files does not allow so many students on connections of their own.
type FilesError struct {
	Limit    uint64 // open files that a process may have here
	Students int    // asked for
	Fit      int    // as many fit
}

func (e *FilesError) Error() string {
	return fmt.Sprintf("--ws with %s: each has a connection, which is an open file here and one in the server; a process may have %s here (ulimit -Hn), so %s fit",
		play.Count(e.Students, "student"), play.Number(int(e.Limit)), play.Number(e.Fit))
}

// Needed is the limit that would do.
func (e *FilesError) Needed() int { return e.Students + spareFiles }

// spareFiles is what the rush and its server need beside the students' connections; liveConnections are those for requests.
const (
	spareFiles      = 128
	liveConnections = 32
)

// fitFiles makes room for the students' connections: it raises the limit of open files, and where that is not enough takes
// as many students as fit, if that is allowed.
func fitFiles(cfg *Config) error {
	limit := play.OpenFiles()
	fit := int(limit) - spareFiles
	if limit == 0 || cfg.Students <= fit {
		return nil
	}
	if !cfg.Fit || cfg.Courses != "" || fit < 4 {
		return &FilesError{limit, cfg.Students, max(0, fit)}
	}
	cfg.Students = fit
	return nil
}
