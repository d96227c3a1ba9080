package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"stagedoor"
	"stagedoor/internal/clockskew"
)

// maxAnswer is the most that is read of an answer, in bytes.
const maxAnswer = 1 << 20

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
	// skew is how far this machine's clock is ahead of the server's, as of its
	// Date; dated is false where it sent none.
	skew  time.Duration
	dated bool
}

// question is one request.
type question struct {
	method, url string
	header      map[string]string
	body        string
	// bearer is sent to this address and to nobody that it redirects to.
	bearer stagedoor.Secret
	// within follows redirects as the door does with issuers: three at most,
	// within one host.
	within bool
}

// redirect says whether a redirect is followed.
func (q question) redirect(to *http.Request, via []*http.Request) error {
	if !q.within || !q.bearer.Empty() || len(via) > 3 || to.URL.Host != via[0].URL.Host || to.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// ask sends one request and reads the answer, all within
// the patience with each.
func (t *Target) ask(ctx context.Context, q question) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, t.each)
	defer cancel()
	if q.method == "" {
		q.method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(ctx, q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		return answer{}, errors.New("this is no address that can be asked")
	}
	request.Header.Set("User-Agent", "stagedoor-check")
	for name, value := range q.header {
		request.Header.Set(name, value)
	}
	if !q.bearer.Empty() {
		request.Header.Set("Authorization", "Bearer "+q.bearer.Reveal())
	}
	client := &http.Client{Transport: t.Transport, CheckRedirect: q.redirect}
	before := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	a := answer{status: response.StatusCode, header: response.Header, took: time.Since(before)}
	received := t.Now() // of the header: a long body takes its time
	skew, dated := clockskew.Of(response.Header, received.Add(-a.took), received)
	if a.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return answer{}, err
	}
	a.skew, a.dated = skew.Ahead, dated
	return a, nil
}

// html reports whether a page was sent, as proxies and other programs do.
func (a answer) html() bool {
	return strings.Contains(a.header.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
}

// trouble says in words why a server could not be asked, and what to do;
// variable names it. Nothing of what was sent is in it.
func trouble(err error, address, variable string) (seen, remedy string) {
	host := address
	if u, parseErr := url.Parse(address); parseErr == nil {
		host = u.Host
	}
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host called " + dns.Name, "correct the host name in " + variable
	case errors.As(err, &name):
		return host + " has a certificate for another name", "use the name that its certificate has in " + variable + ", or give the server a certificate for this one"
	case errors.As(err, &unknown):
		return host + " has a certificate of an authority that this machine does not trust", "install the authority's certificate on this machine (SSL_CERT_FILE), or give the server a publicly trusted one"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return host + "'s certificate is not valid now", "renew it; or, if it is valid, set this machine's clock"
	case errors.As(err, &invalid):
		return host + "'s certificate is not valid for this use", "give the server another certificate"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return host + " does not speak TLS at that port", "write ws:// or http:// in " + variable + " if it is private, or the port that speaks TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + host, "start it, or correct host and port in " + variable
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return host + " does not answer in time", "see whether it runs and whether a firewall lets this machine reach it; else correct " + variable
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return host + " cannot be reached from this machine's network", "see its routes and firewall; else correct " + variable
	case errors.As(err, &dns):
		return "the name " + dns.Name + " cannot be looked up now", "see whether this machine's DNS works"
	}
	return host + " breaks off or does not speak HTTP", "correct host and port in " + variable
}

// Clocks further apart than these are remarked on, and refused: LiveKit takes
// a minute, Stripe five, the door's own leeway is half of one.
const (
	skewWarn = 5 * time.Second
	skewFail = 30 * time.Second
)

// clock judges how far this machine's clock is from a server's.
func (f *findings) clock(id string, a answer, whose string) {
	apart := a.skew.Abs().Round(100 * time.Millisecond)
	way := "ahead of"
	if a.skew < 0 {
		way = "behind"
	}
	seen := fmt.Sprintf("this machine's clock is %s %s %s", said(apart), way, whose)
	remedy := "set the clock by NTP (timedatectl set-ntp true): tokens count by the second, and LiveKit allows a minute"
	switch {
	case !a.dated:
		f.skip(whose+" answer has no Date", id)
	case apart > skewFail:
		f.add(id, Fail, seen, remedy)
	case apart > skewWarn:
		f.add(id, Warn, seen, remedy)
	case apart < 1500*time.Millisecond:
		f.pass(id, "within a second and a half of "+whose)
	default:
		f.pass(id, seen)
	}
}

// said writes a time apart as people do.
func said(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
