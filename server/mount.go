package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast/internal/wire"
)

// mount makes the multiplexer of the routes. Beside each path stands one row without a method, which answers 405, and
// below all of them one that answers 404.
func (s *Server) mount() {
	methods := map[string][]string{}
	for _, r := range table() {
		methods[r.path] = append(methods[r.path], r.method)
		s.mux.HandleFunc(r.pattern(), s.entry(&r))
	}
	for path, allowed := range methods {
		if slices.Contains(allowed, http.MethodGet) {
			allowed = append(allowed, http.MethodHead)
		}
		slices.Sort(allowed)
		allow := strings.Join(allowed, ", ")
		wrong := s.entry(&route{method: "*", path: path, role: Public, class: open, handle: func(c *call) int {
			c.w.Header()["Allow"] = []string{allow}
			return c.problem(wire.New(wire.BadMethod, "It takes "+allow+"."))
		}})
		s.mux.HandleFunc(path, wrong)
	}
	s.mux.HandleFunc("/", s.entry(&route{method: "*", path: "/", role: Public, class: open, handle: func(c *call) int {
		return c.problem(wire.New(wire.NotFound, "The paths are listed in /openapi.json."))
	}}))
}

// table is routes with what follows from the path.
func table() []route {
	list := routes()
	for i := range list {
		r := &list[i]
		r.names.realm = strings.Contains(r.path, "{realm}")
		r.names.pool = strings.Contains(r.path, "{pool}")
		r.names.person = strings.Contains(r.path, "{person}")
		r.names.desk = strings.Contains(r.path, "{desk}")
		r.names.agent = strings.Contains(r.path, "{agent}")
		for _, number := range []string{"request", "offer", "session"} {
			if strings.Contains(r.path, "{"+number+"}") {
				r.names.number = number
			}
		}
	}
	return list
}

// entry is the way into a route: its door, its ids and parameters, its handler, its count.
func (s *Server) entry(r *route) http.HandlerFunc {
	count := s.metrics.requests(r)
	return func(w http.ResponseWriter, req *http.Request) {
		c := &call{Server: s, w: w, r: req, route: r}
		status := c.enter()
		count[min(max(status/100, 2), 5)].Inc()
	}
}

// enter passes the entrance and runs the handler.
func (c *call) enter() int {
	if gate := c.gate(); gate != nil {
		if !gate.enter() {
			return c.turnAway(c.route.class.full(), crowded)
		}
		defer gate.leave()
	}
	if problem := c.identify(); problem != nil {
		return c.problem(*problem)
	}
	if err := c.ids(); err != nil {
		return c.fail(err)
	}
	about := c.realm
	if c.route.own {
		about = c.id.Realm
	}
	switch c.permitted(about) {
	case forbidden:
		return c.problem(notForYou)
	case elsewhere:
		c.foreign = true
	case otherDesk:
		c.barred = true
	}
	if c.route.class == newcomer {
		if wait := c.limit(&c.id); wait > 0 {
			return c.limited(wait)
		}
		if !c.admit(c.key()) {
			return c.turnAway(byLoad, overloaded)
		}
	}
	if c.route.method != "*" { // what has no route takes any parameter, to say that it has none
		if err := c.params(); err != nil {
			return c.fail(err)
		}
	}
	if c.route.class == newcomer {
		defer c.load.Answered()
	}
	return c.route.handle(c)
}

func (c *call) gate() *gate {
	switch c.route.class {
	case newcomer:
		return c.calls
	case placed:
		return c.sure
	case feeding:
		return c.feeds
	}
	return nil
}

// serve is the outermost handler: who may not ask at all, and paths that the multiplexer would redirect.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.auth == nil && !localHost(r.Host) {
		s.nowhere(w, r, wire.New(wire.Forbidden, "This server has no authentication: requests are taken only under the name localhost or a loopback address."))
		return
	}
	if !s.origins.admit(w, r) {
		s.nowhere(w, r, wire.New(wire.Forbidden, "Pages of this origin may not ask here."))
		return
	}
	if s.origins.preflight(w, r) {
		return
	}
	if path := r.URL.Path; strings.Contains(path, "//") || (strings.Contains(path, "/.") && dotted(path)) {
		s.nowhere(w, r, wire.New(wire.NotFound, "A path has no empty parts, and neither . nor .. among them."))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// nowhere answers what does not get as far as a route.
func (s *Server) nowhere(w http.ResponseWriter, r *http.Request, p wire.Problem) {
	c := &call{Server: s, w: w, r: r, route: &route{method: "*", path: "/"}}
	c.problem(p)
}

// dotted says whether a part of the path is "." or "..".
func dotted(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// pieceDeadline gives the reader of an answer in pieces its time to take the next one.
func (c *call) pieceDeadline() error {
	err := http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(c.cfg.FeedWrite))
	if errors.Is(err, http.ErrNotSupported) {
		return nil // no connection below: whoever wrapped the writer keeps its own time
	}
	return err
}
