package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"stagedoor"
	"stagedoor/internal/audit"
	"stagedoor/internal/enforce"
)

func TestChangeRecorder_RecordsUpdatesAndRemovals(t *testing.T) {
	var out bytes.Buffer
	log := audit.New(&out, time.Now, func(context.Context) string { return "" })
	c := &changeRecorder{queue: make(chan stagedoor.AuditRecord, 2), write: log.Record, log: unheard()}
	ann := stagedoor.PrincipalKey{Issuer: "i", Subject: "ann"}
	c.add(enforce.Change{Room: "red", Identity: "app:ann", Principal: ann, Cause: "billing",
		Decision: stagedoor.Decision{Grants: stagedoor.Grants{Subscribe: true}, PublishDenied: stagedoor.NoSubscription, Rule: "all"}})
	c.add(enforce.Change{Room: "red", Identity: "app:ann", Principal: ann, Cause: "ban", Removed: true, Why: stagedoor.Banned})
	close(c.queue)
	c.run(t.Context())
	var lines [2]audit.Entry
	decoder := json.NewDecoder(&out)
	for i := range lines {
		if err := decoder.Decode(&lines[i]); err != nil {
			t.Fatal(err)
		}
		if e := lines[i]; e.Audit != "enforce" || e.Issuer != "i" || e.Subject != "ann" || e.Room != "red" || e.Identity != "app:ann" {
			t.Errorf("%+v", e)
		}
	}
	if e := lines[0]; e.Outcome != "granted" || e.Cause != "billing" || !e.CanSubscribe || e.CanPublish || e.PublishDenied != "no_subscription" || e.Rule != "all" {
		t.Errorf("update: %+v", e)
	}
	if e := lines[1]; e.Outcome != "banned" || e.Cause != "ban" || e.CanSubscribe {
		t.Errorf("removal: %+v", e)
	}
}

// An audit log that takes nothing holds up neither enforcement nor the end of
// the process.
func TestChangeRecorder_StuckLogBlocksNobody(t *testing.T) {
	writes := 0
	c := &changeRecorder{queue: make(chan stagedoor.AuditRecord, 3), log: unheard(), write: func(context.Context, stagedoor.AuditRecord) error {
		writes++
		return errors.New("stuck")
	}}
	for range 10 {
		c.add(enforce.Change{Cause: "ban"})
	}
	close(c.queue)
	ending, cancel := context.WithCancel(t.Context())
	cancel()
	c.run(ending)
	if writes != 1 {
		t.Errorf("%d writes were tried after the end", writes)
	}
}
