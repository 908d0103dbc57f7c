package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origins are the pages that may ask from a browser. It does not change after newOrigins.
type origins struct {
	list  map[string]bool
	cross *http.CrossOriginProtection
}

func newOrigins(cfg *Config) (*origins, error) {
	o := &origins{list: map[string]bool{}, cross: http.NewCrossOriginProtection()}
	for _, origin := range cfg.Origins {
		if err := validOrigin(origin); err != nil {
			return nil, err
		}
		if err := o.cross.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("server: the origin %q: %w", origin, err)
		}
		o.list[origin] = true
	}
	return o, nil
}

// validOrigin says whether an origin is written as browsers send it: anything else would never match.
func validOrigin(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case err != nil:
		return fmt.Errorf("server: the origin %q: %w", origin, err)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", strings.Contains(u.Host, "*"):
		return fmt.Errorf("server: the origin %q: want scheme://host or scheme://host:port, without any *", origin)
	case u.Scheme+"://"+u.Host != origin || origin != strings.ToLower(origin):
		return fmt.Errorf("server: the origin %q: want scheme://host or scheme://host:port in small letters, and nothing behind it", origin)
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return fmt.Errorf("server: the origin %q: browsers leave the usual port out, so it would never match", origin)
	}
	return nil
}

// allows says whether a page of this origin, as the header Origin has it, may make this request. No origin: no page asks. The server's own is one
// under the same host; over TLS only with https, for a page without it may be anybody's who sits on the line.
func (o *origins) allows(origin string, r *http.Request) bool {
	return origin == "" || o.list[origin] || origin == "https://"+r.Host || (r.TLS == nil && origin == "http://"+r.Host)
}

// sameOrigin: the browser itself says that the page is the server's own, whatever Host a proxy in between has put.
func sameOrigin(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Site") == "same-origin" }

// Values of headers for pages of other origins, made once.
var (
	varyOrigin     = []string{"Origin"}
	allowedMethods = []string{"GET, HEAD, PUT, POST, DELETE"}
	allowedHeaders = []string{"Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID"}
	exposedHeaders = []string{"ETag, Retry-After, Holdfast-Log, Holdfast-Last, Holdfast-Next, Holdfast-As-Of, Holdfast-Durability"}
	preflightAge   = []string{"600"}
)

// admit says whether the page that asks may, and writes what its browser wants to know.
func (o *origins) admit(w http.ResponseWriter, r *http.Request) bool {
	if len(o.list) > 0 {
		w.Header()["Vary"] = varyOrigin
	}
	values := r.Header["Origin"]
	if len(values) > 1 {
		return false
	}
	origin := ""
	if len(values) == 1 {
		origin = values[0]
	}
	if (!o.allows(origin, r) && !sameOrigin(r)) || o.cross.Check(r) != nil {
		return false
	}
	if o.list[origin] {
		w.Header()["Access-Control-Allow-Origin"] = values
		w.Header()["Access-Control-Expose-Headers"] = exposedHeaders
	}
	return true
}

// preflight answers a browser that asks, for a page of the list, what it may send; false = it does not ask that.
func (o *origins) preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || len(r.Header["Origin"]) != 1 || len(r.Header["Access-Control-Request-Method"]) == 0 ||
		!o.list[r.Header["Origin"][0]] {
		return false
	}
	h := w.Header()
	h["Access-Control-Allow-Methods"], h["Access-Control-Allow-Headers"], h["Access-Control-Max-Age"] = allowedMethods, allowedHeaders, preflightAge
	w.WriteHeader(http.StatusNoContent)
	return true
}
