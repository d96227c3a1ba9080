package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is not configured is closed, not open.

// Rules that are named and not there are no reason to do without rules.
func TestMissingPolicyFileStopsTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.yaml")
	writeFile(t, empty, "")
	for name, path := range map[string]string{"missing": filepath.Join(dir, "nowhere.yaml"), "a folder": dir, "empty": empty} {
		cmd := exec.Command("stagedoor", "serve")
		cmd.Dir = dir
		cmd.Env = []string{"LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "LIVEKIT_URL=wss://livekit.example.com", "LIVEKIT_API_KEY=APIkey",
			"LIVEKIT_API_SECRET=" + liveKitNew, "JWT_SECRET=" + callerSecret, "POLICY_FILE=" + path}
		var out bytes.Buffer
		cmd.Stderr = &out
		if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != exitUsage && cmd.ProcessState.ExitCode() != 1 || strings.Contains(out.String(), "is listening") {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}

// Without a secret nobody can prove an event, so there is nowhere to send one;
// and an empty signature, or one made with no key, proves none.
func TestUnsetWebhookSecretClosesTheWebhook(t *testing.T) {
	t.Parallel()
	_, url, _ := startServe(t, "DRAIN_DELAY=0s", "STRIPE_API_URL=http://127.0.0.1:1", "STRIPE_SECRET_KEY="+stripeNew)
	if status := stripeEvent(t, url, ""); status != 404 {
		t.Errorf("an event without a secret: %d", status)
	}
	_, url, _ = startServe(t, "DRAIN_DELAY=0s", "STRIPE_API_URL=http://127.0.0.1:1", "STRIPE_SECRET_KEY="+stripeNew, "STRIPE_WEBHOOK_SECRET="+eventsNew)
	if status := stripeEvent(t, url, ""); status != 400 {
		t.Errorf("an event signed with nothing: %d", status)
	}
	mustAnswer(t, "an unsigned event", 400, url+"/webhooks/stripe", `{}`, "", nil)
	mustAnswer(t, "an unsigned LiveKit event", 400, url+"/webhooks/livekit", `{}`, "", nil)
	if status := liveKitEvent(t, url, "", ""); status != 400 {
		t.Errorf("a LiveKit event signed with nothing: %d", status)
	}
}
