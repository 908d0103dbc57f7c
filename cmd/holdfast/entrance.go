package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"holdfast/auth"
	"holdfast/server"
)

// entrance is who may ask a server, and from where, as the flags of serve say it.
type entrance struct {
	Keys    string // the file of API keys; empty = keys.json in the data directory
	JWT     auth.JWTConfig
	Origins []string

	Certificate, Key string // files of TLS; empty = plain HTTP
	BehindAProxy     bool

	MaxConnections, MaxInFlight, PersonBurst int
	PersonRate                               float64 // a second
	ReturnWithin                             time.Duration
}

func (e *entrance) flags() []flagGroup {
	e.JWT = auth.DefaultConfig().JWT
	cfg := server.DefaultConfig()
	who, where, much := newGroup("Who may ask"), newGroup("From where"), newGroup("How much at once")
	f := who.flags
	f.StringVar(&e.Keys, "keys", "", "`FILE` of API keys (default keys.json in the data directory, if there is one): whoever asks needs one, or a token")
	f.StringVar(&e.JWT.SecretFile, "jwt-secret", "", "`FILE` whose content is the secret that JSON Web Tokens are signed with (HS256)")
	f.StringVar(&e.JWT.JWKS, "jwt-jwks", "", "`FILE or URL` of the public keys that tokens are signed with")
	f.StringVar(&e.JWT.Algorithm, "jwt-algorithm", "", "the one `ALGORITHM` of tokens: HS256, RS256, ES256 … (default HS256 with --jwt-secret)")
	f.StringVar(&e.JWT.Issuer, "jwt-issuer", "", "`ISSUER` of tokens (iss)")
	f.StringVar(&e.JWT.Audience, "jwt-audience", "", "`AUDIENCE` of tokens (aud)")
	f.StringVar(&e.JWT.Realm, "jwt-realm", "", "`REALM` of tokens that name none")
	f.StringVar(&e.JWT.PersonClaim, "jwt-person-claim", e.JWT.PersonClaim, "the `CLAIM` of a token that names the person")

	f = where.flags
	f.StringArrayVar(&e.Origins, "origin", nil, "`ORIGIN` whose pages may ask from a browser, such as https://portal.example.edu; may be given again")
	f.StringVar(&e.Certificate, "tls-cert", "", "`FILE` with the TLS certificate and its chain (PEM); read again when it changes")
	f.StringVar(&e.Key, "tls-key", "", "`FILE` with its private key (PEM)")
	f.BoolVar(&e.BehindAProxy, "plain-http-behind-a-proxy", false, "listen beyond loopback without TLS: a proxy in front does it. Tokens cross the network between them readable")

	f = much.flags
	f.Float64Var(&e.PersonRate, "person-rate", cfg.PersonRate, "how often a second a person's token may claim, after --person-burst at once; then 429")
	f.IntVar(&e.PersonBurst, "person-burst", cfg.PersonBurst, "how often at once")
	f.IntVar(&e.MaxInFlight, "max-in-flight", cfg.MaxInFlight, "most requests of newcomers at work at once; what is more hears busy")
	f.IntVar(&e.MaxConnections, "max-connections", cfg.MaxConnections, "most open connections; what is more is told to come back")
	f.DurationVar(&e.ReturnWithin, "return-within", cfg.ReturnWithin, "when the server stops, connections are told to come back at a random time up to this, sooner if they are few")
	return []flagGroup{who, where, much}
}

// open puts into cfg what the flags say. It opens cfg.Auth, if anything says who may ask: close it.
func (e *entrance) open(data string, cfg *server.Config, logger *slog.Logger) (err error) {
	if !(e.PersonRate >= 0.001 && e.PersonRate <= 1e6) || e.PersonBurst < 1 || e.PersonBurst > 1e6 { // NaN is neither
		return &usageError{errors.New("--person-rate must be 0.001 to 1000000, --person-burst 1 to 1000000")}
	}
	if e.MaxInFlight < 1 || e.MaxConnections < 1 {
		return &usageError{errors.New("--max-in-flight and --max-connections must be at least 1")}
	}
	if e.JWT.PersonClaim != auth.DefaultConfig().JWT.PersonClaim && e.JWT.SecretFile+e.JWT.JWKS == "" {
		return &usageError{errors.New("--jwt-person-claim needs --jwt-secret or --jwt-jwks")}
	}
	cfg.Origins, cfg.PlainHTTPBehindAProxy = e.Origins, e.BehindAProxy
	cfg.MaxConnections, cfg.ReturnWithin = connections(e.MaxConnections, openFiles(), logger), e.ReturnWithin
	cfg.PersonRate, cfg.PersonBurst, cfg.MaxInFlight = e.PersonRate, e.PersonBurst, e.MaxInFlight
	if (e.Certificate == "") != (e.Key == "") {
		return &usageError{errors.New("--tls-cert and --tls-key go together")}
	}
	if e.Certificate != "" && e.BehindAProxy {
		return &usageError{errors.New("--plain-http-behind-a-proxy is for a server without --tls-cert")}
	}
	if e.Certificate != "" {
		if cfg.TLS, err = newTLS(e.Certificate, e.Key, logger); err != nil {
			return advise(err, "name the files of the certificate and its key with --tls-cert and --tls-key")
		}
	}
	if !e.asked(data) {
		if e.BehindAProxy {
			return &usageError{errors.New("--plain-http-behind-a-proxy needs authentication: holdfast key create, or --jwt-secret or --jwt-jwks")}
		}
		return nil
	}
	who := auth.DefaultConfig()
	who.Keys, who.JWT, who.Logger = keysOf(data, e.Keys), e.JWT, logger
	if who.JWT.SecretFile != "" && who.JWT.Algorithm == "" {
		who.JWT.Algorithm = "HS256"
	}
	if err := who.Validate(); err != nil {
		return &usageError{err}
	}
	cfg.Auth, err = auth.Open(who)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return adviseOpen(err, data)
	case errors.Is(err, auth.ErrFile):
		return advise(err, "see who may read and write the file, and whether it is whole; a server without it would let nobody in")
	}
	return err
}

// ownFiles are kept for the log, the database and what else is no connection: without them the log could not go on.
const ownFiles = 64

// connections is how many connections fit under the limit of open files; 0 = it is not known. Beyond it nobody would be told to come
// back: they would wait, unanswered.
func connections(wanted, files int, logger *slog.Logger) int {
	fit := max(1, files-ownFiles)
	if files == 0 || wanted <= fit {
		return wanted
	}
	logger.Warn("the limit of open files lets in fewer connections than --max-connections; raise it (systemd: LimitNOFILE, a shell: ulimit -n)",
		"files", files, "connections", fit, "max_connections", wanted)
	return fit
}

// asked says whether whoever asks must say who they are.
func (e *entrance) asked(data string) bool {
	jwt := e.JWT
	return e.Keys != "" || auth.Configured(keysOf(data, e.Keys)) || jwt.SecretFile+jwt.JWKS+jwt.Algorithm+jwt.Issuer+jwt.Audience+jwt.Realm != ""
}

// tells says in one line who may ask.
func (e *entrance) tells(data string) string {
	if !e.asked(data) {
		return "no authentication: who reaches this address may do everything"
	}
	ways := []string{"API keys (" + keysOf(data, e.Keys) + ")"}
	if e.JWT.SecretFile+e.JWT.JWKS != "" {
		ways = append(ways, fmt.Sprintf("tokens of %s", e.JWT.Issuer))
	}
	return strings.Join(ways, ", ")
}
