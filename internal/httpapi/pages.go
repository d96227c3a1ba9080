package httpapi

import "net/http"

// asPage sets what a browser is told of a page besides its type: what it may
// load and use, and that no other page may frame it, hold on to its window or
// learn its address.
//
// SPEC: w3.org/TR/CSP3; RFC 7034 (X-Frame-Options, for what knows no
// frame-ancestors); w3.org/TR/permissions-policy; html.spec.whatwg.org §7.1.3
// (Cross-Origin-Opener-Policy); fetch.spec.whatwg.org §3.7
// (Cross-Origin-Resource-Policy).
func asPage(header http.Header, content, permissions string) {
	header.Set("Content-Security-Policy", content)
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Permissions-Policy", permissions)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

const (
	// plainContent is the policy of a page of text alone.
	plainContent = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	// noPermissions and callPermissions are what a page may use of a device:
	// nothing, or what a call needs.
	noPermissions   = "camera=(), microphone=(), display-capture=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), bluetooth=()"
	callPermissions = "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), usb=(), serial=(), hid=(), bluetooth=()"
)
