package config

import "strings"

// noCredentials is the setup guide's phrase for it.
const noCredentials = "LiveKit credentials not configured"

// credential is one of the three variables without which there is no LiveKit.
type credential struct{ name, remedy string }

func credentials() []credential {
	return []credential{
		{"LIVEKIT_URL", "set it to the server's address: wss://<project>.livekit.cloud"},
		{"LIVEKIT_API_KEY", "copy the API key from LiveKit Cloud, Settings, Keys"},
		{"LIVEKIT_API_SECRET", "copy the API secret from LiveKit Cloud, Settings, Keys"},
	}
}

// checkLiveKit demands the LiveKit credentials that the mode needs.
func (l *loader) checkLiveKit() {
	var missing []credential
	for _, c := range credentials() {
		if !l.given[c.name] {
			missing = append(missing, c)
		}
	}
	for _, c := range missing {
		switch {
		case l.mode == Operate || l.mode == Offline || l.mode == Tool && c.name == "LIVEKIT_URL":
		case l.mode == Dev && len(missing) == len(credentials()):
			// a child server brings all three
		case l.mode == Dev:
			l.problem(c.name, noCredentials+": only some of the three are set",
				c.remedy+"; or unset the others, and stagedoor dev starts a server of its own")
		default:
			l.problem(c.name, noCredentials, c.remedy)
		}
	}
	l.checkGuidePlaceholders()
	if !l.tool() && l.given["LIVEKIT_API_KEY_PREVIOUS"] != l.given["LIVEKIT_API_SECRET_PREVIOUS"] {
		name, other := "LIVEKIT_API_KEY_PREVIOUS", "LIVEKIT_API_SECRET_PREVIOUS"
		if l.given[name] {
			name, other = other, name
		}
		l.problem(name, "is missing beside "+other, "set both, or neither")
	}
	if key := l.config.LiveKitAPIKeyPrevious; !l.tool() && key != "" && key == l.config.LiveKitAPIKey {
		// Events are proved by the secret of the key that they name: the old
		// secret would take the new one's place.
		l.problem("LIVEKIT_API_KEY_PREVIOUS", "equals LIVEKIT_API_KEY: only one secret can belong to a key", "make a second pair in LiveKit, with a key of its own")
	}
}

// checkGuidePlaceholders recognizes a setup guide that was followed to the
// letter. LIVEKIT_API_SECRET is judged with the other secrets.
func (l *loader) checkGuidePlaceholders() {
	report := l.problem
	if l.mode != Serve {
		report = l.warn
	}
	if u := l.config.LiveKitURL; u != nil && placeholderHost(u.Hostname()) {
		report("LIVEKIT_URL", "is still a placeholder", credentials()[0].remedy)
	}
	if isTemplate(l.config.LiveKitAPIKey) {
		report("LIVEKIT_API_KEY", "is still a placeholder", credentials()[1].remedy)
	}
	if !l.tool() && l.config.OIDCIssuer != "" {
		if u, p := parseURL(l.config.OIDCIssuer, []string{"http", "https"}, false); p == nil && placeholderHost(u.Hostname()) {
			report("OIDC_ISSUER", "is a placeholder", "set it to the issuer that the provider's discovery document names")
		}
	}
}

// placeholderHost knows the hosts that guides use. Exact names only: a
// company may well be called your-something.
func placeholderHost(host string) bool {
	label, _, _ := strings.Cut(strings.ToLower(host), ".")
	switch label {
	case "your-project", "your-project-id", "your-url", "your-livekit-url", "your-livekit-server", "your-livekit-host",
		"your-server", "your-host", "your-instance", "your-subdomain", "your-domain", "your-tenant", "your-app":
		return true
	}
	return false
}

// ClientURL returns the LiveKit address for browsers and apps: ws or wss,
// without a final slash. Empty if LiveKitURL is nil.
func (c *Config) ClientURL() string {
	if c.LiveKitURL == nil {
		return ""
	}
	return rescheme(c.LiveKitURL.String(), "http", "ws")
}

// APIURL returns the address at which the door calls LiveKit: http or https,
// without a final slash. Empty if neither LiveKitAPIURL nor LiveKitURL is set.
func (c *Config) APIURL() string {
	switch {
	case c.LiveKitAPIURL != nil:
		return strings.TrimRight(c.LiveKitAPIURL.String(), "/")
	case c.LiveKitURL != nil:
		return rescheme(c.LiveKitURL.String(), "ws", "http")
	}
	return ""
}

// rescheme turns from:// into to:// and, with the s behind it, from+"s" into to+"s".
func rescheme(u, from, to string) string {
	if rest, ok := strings.CutPrefix(u, from+"://"); ok {
		u = to + "://" + rest
	} else if rest, ok := strings.CutPrefix(u, from+"s://"); ok {
		u = to + "s://" + rest
	}
	return strings.TrimRight(u, "/")
}
