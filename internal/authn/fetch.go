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

// fetcher asks one issuer over HTTP. Safe for concurrent use.
type fetcher struct {
	issuer     string
	jwksURL    string // configured, or empty
	discovered atomic.Pointer[string]
	client     *http.Client
}

func newFetcher(issuer, jwksURL string, transport http.RoundTripper) *fetcher {
	if transport == nil {
		bounded := http.DefaultTransport.(*http.Transport).Clone()
		bounded.MaxResponseHeaderBytes = 64 << 10
		transport = bounded
	}
	return &fetcher{issuer: issuer, jwksURL: jwksURL,
		client: &http.Client{Transport: transport, CheckRedirect: sameHost}}
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

// fetch returns the issuer's current keys.
func (f *fetcher) fetch(ctx context.Context, discover bool) (KeySet, error) {
	address := f.jwksURL
	if address == "" {
		known := f.discovered.Load()
		if discover || known == nil {
			found, err := f.discover(ctx)
			if err != nil {
				return KeySet{}, err
			}
			known = &found
			f.discovered.Store(known)
		}
		address = *known
	}
	body, err := f.get(ctx, address)
	if err != nil {
		return KeySet{}, err
	}
	return ParseJWKS(body)
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
	if address.Scheme != "https" && !(address.Scheme == "http" && strings.HasPrefix(f.issuer, "http://")) {
		return "", errors.New("the discovery document's jwks_uri is not https")
	}
	return document.JWKSURI, nil
}

// get reads one answer, bounded in size.
func (f *fetcher) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "stagedoor")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", address, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFetchBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxFetchBytes {
		return nil, fmt.Errorf("%s answered more than %d bytes", address, maxFetchBytes)
	}
	return body, nil
}
