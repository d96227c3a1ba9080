package authn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// fetchTimeout bounds one question to an issuer, discovery included.
	fetchTimeout = 5 * time.Second
	// maxFetchBytes bounds each answer, after decompression.
	maxFetchBytes = 256 << 10
	maxRedirects  = 3
)

var errGone = errors.New("the keys are not where they were")

// fetcher asks one issuer over HTTP. Safe for concurrent use.
type fetcher struct {
	issuer     string
	jwksURL    string // configured, or empty
	plainHTTP  func(host string) bool
	discovered atomic.Pointer[string]
	client     *http.Client
}

func newFetcher(issuer, jwksURL string, plainHTTP func(string) bool, transport http.RoundTripper) *fetcher {
	if transport == nil {
		transport = NewTransport()
	}
	if plainHTTP == nil {
		plainHTTP = func(string) bool { return false }
	}
	return &fetcher{issuer: issuer, jwksURL: jwksURL, plainHTTP: plainHTTP,
		client: &http.Client{Transport: transport, CheckRedirect: sameHost}}
}

// NewTransport returns the transport that is used without [Options.Transport]:
// net/http's own, which reads headers of 64 KiB at most.
func NewTransport() http.RoundTripper {
	bounded := http.DefaultTransport.(*http.Transport).Clone()
	bounded.MaxResponseHeaderBytes = 64 << 10
	return bounded
}

// sameHost follows up to three redirects within one host, never to plain HTTP.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case req.URL.Host != first.Host:
		return errors.New("redirected to another host")
	case req.URL.Scheme != first.Scheme:
		return errors.New("redirected to another scheme")
	}
	return nil
}

// fetch returns the issuer's current keys. Without discover it goes straight
// to where they were found last, and looks for them anew only when they are
// gone from there.
func (f *fetcher) fetch(ctx context.Context, discover bool) (KeySet, error) {
	if f.jwksURL != "" {
		return f.keysAt(ctx, f.jwksURL)
	}
	known := f.discovered.Load()
	if known != nil && !discover {
		keys, err := f.keysAt(ctx, *known)
		if !errors.Is(err, errGone) {
			return keys, err
		}
	}
	found, err := f.discover(ctx)
	if err != nil {
		return KeySet{}, err
	}
	f.discovered.Store(&found)
	if known != nil && !discover && found == *known {
		return KeySet{}, errGone
	}
	return f.keysAt(ctx, found)
}

// keysAt reads the key set at an address. A set without a usable key is an
// error: known keys must not end because of one.
func (f *fetcher) keysAt(ctx context.Context, address string) (KeySet, error) {
	body, err := f.get(ctx, address)
	if err != nil {
		return KeySet{}, err
	}
	return usableKeys(body)
}

// discover reads where the issuer keeps its keys, and insists that the
// document is this issuer's.
//
// SPEC: OpenID Connect Discovery 1.0 §4.1, §4.3; RFC 8414 §3.3.
func (f *fetcher) discover(ctx context.Context) (string, error) {
	body, err := f.get(ctx, strings.TrimSuffix(f.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return "", errors.New("the discovery document is not strict JSON")
	}
	if document.Issuer != f.issuer {
		return "", fmt.Errorf("the discovery document is of issuer %.200q, OIDC_ISSUER says %q: they must be equal, trailing slash included", document.Issuer, f.issuer)
	}
	address, err := url.Parse(document.JWKSURI)
	if err != nil || address.Host == "" || address.User != nil {
		return "", errors.New("the discovery document has no usable jwks_uri")
	}
	plain := address.Scheme == "http" && strings.HasPrefix(f.issuer, "http://") && f.plainHTTP(address.Hostname())
	if address.Scheme != "https" && !plain {
		return "", errors.New("the discovery document's jwks_uri is not https")
	}
	return document.JWKSURI, nil
}

// get reads one answer, bounded in size. Its errors name host and path only:
// a query may hold a key.
func (f *fetcher) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("an address that cannot be asked")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "stagedoor")
	place := req.URL.Host + req.URL.Path
	resp, err := f.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, fmt.Errorf("%s answered %d: %w", place, resp.StatusCode, errGone)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", place, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFetchBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	if len(body) > maxFetchBytes {
		return nil, fmt.Errorf("%s answered more than %d bytes", place, maxFetchBytes)
	}
	return body, nil
}
