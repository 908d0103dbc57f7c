package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// remote is a JWKS at a URL. It is read in the background only: no request of anybody waits for it, and no forged token makes
// it be read more often than every soonest. (go-oidc's RemoteKeySet reads it within each check of a token that does not verify.)
type remote struct {
	url    string
	client *http.Client
	wanted chan struct{} // has one element when a token named a key that is not known
}

const (
	fetchTimeout = 10 * time.Second
	soonest      = 10 * time.Second // between two readings
)

func newRemote(url string) *remote {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	return &remote{url: url, wanted: make(chan struct{}, 1), client: &http.Client{
		Transport: transport, Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// want asks for a reading as soon as one may be.
func (r *remote) want() {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

// errUnreachable: nobody knows whether the set is right; it may be there later.
var errUnreachable = errors.New("the URL cannot be reached")

func (r *remote) fetch(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: it answers %s", errUnreachable, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s, not 200 OK (redirections are not followed: name where it ends)", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	case len(b) > maxJWKS:
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrFile, maxJWKS)
	}
	return b, nil
}

// fetch reads the set and puts it in force. After an error the keys are as they were.
func (i *issuer) fetch(ctx context.Context) (changed bool, err error) {
	b, err := i.remote.fetch(ctx)
	if err != nil {
		return false, fmt.Errorf("%s: %w", i.cfg.JWKS, err)
	}
	keys, err := decodeJWKS(b, i.cfg.Algorithm)
	if err != nil {
		return false, fmt.Errorf("%s: %w", i.cfg.JWKS, err)
	}
	return i.trust.set(keys), nil
}

// fetchFirst fails where the URL gives something else than a set of keys: that is a mistake in the configuration. An issuer that
// cannot be reached is one that is down: it must not keep a server down too, whose API keys work.
func (i *issuer) fetchFirst(ctx context.Context) error {
	_, err := i.fetch(ctx)
	if errors.Is(err, errUnreachable) {
		i.logger.Error("the issuer's keys cannot be read: every JWT is refused until they can", "err", err)
		return nil
	}
	return err
}

// follow keeps the keys fresh until ctx ends: every Refresh; every soonest while that fails; and after soonest when a token names a
// key that is not known. What is in force stays so while the issuer cannot be reached.
func (i *issuer) follow(ctx context.Context, announce func()) {
	failed := i.trust.keys.Load() == nil
	for {
		if !i.rest(ctx, failed) {
			return
		}
		changed, err := i.fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			i.logger.Error("the issuer's keys cannot be read: those read before stay in force", "err", err)
		case failed:
			i.logger.Info("the issuer's keys can be read again", "url", i.cfg.JWKS)
		}
		failed = err != nil
		if changed {
			announce()
		}
	}
}

// rest waits until the keys may be read again; false when ctx has ended.
func (i *issuer) rest(ctx context.Context, failed bool) bool {
	if !wait(ctx, nil, soonest) {
		return false
	}
	if failed {
		return true
	}
	return wait(ctx, i.remote.wanted, max(i.cfg.Refresh-soonest, 0))
}

// wait ends after d or by early; false when ctx has ended.
func wait(ctx context.Context, early <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-t.C:
	}
	return true
}
