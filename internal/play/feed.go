package play

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// ErrToken: the server does not know the token, or it may not do what is needed.
var ErrToken = errors.New("the target does not take the token")

// URL is where a path is.
func (a *Address) URL(path string) string {
	scheme := "http://"
	if a.TLS {
		scheme = "https://"
	}
	return scheme + a.Name + a.Prefix + path
}

// Get asks off the hot path, with the standard client.
func (a *Address) Get(ctx context.Context, url, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if a.Token != "" {
		req.Header.Set("Authorization", "Bearer "+a.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 300)) // only for the message
		resp.Body.Close()
		if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
			return nil, fmt.Errorf("%w: GET %s: %s", ErrToken, url, resp.Status)
		}
		return nil, fmt.Errorf("GET %s: the server answered %d: %s", url, resp.StatusCode, said)
	}
	return resp, nil
}

// feed opens the realm's feed behind a sequence, as NDJSON: up to the durable end of the log, or, following, for ever.
func (a *Address) feed(ctx context.Context, realm string, after uint64, follow bool) (io.ReadCloser, error) {
	path := "/v1/realms/" + realm + "/events?after=" + strconv.FormatUint(after, 10) + "&follow=" + strconv.FormatBool(follow)
	resp, err := a.Get(ctx, a.URL(path), "application/x-ndjson")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// ReadFeed calls each with the line of every event from after on, until the feed ends, and gives the last sequence.
func (a *Address) ReadFeed(ctx context.Context, realm string, after uint64, follow bool, each func(line []byte) (seq uint64, err error)) (uint64, error) {
	body, err := a.feed(ctx, realm, after, follow)
	if err != nil {
		return after, err
	}
	defer body.Close()
	scan := bufio.NewScanner(body)
	scan.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for scan.Scan() {
		if len(scan.Bytes()) == 0 {
			continue
		}
		seq, err := each(scan.Bytes())
		if err != nil {
			return after, err
		}
		after = max(after, seq)
	}
	return after, scan.Err()
}
