package billing

import (
	"testing"
	"time"
)

// TestOldestFactIsTheEntitlementsAge: what one customer's facts grant may
// stand on another's too.
func TestOldestFactIsTheEntitlementsAge(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	v := view{customers: []customerView{{confirmedAt: now}, {confirmedAt: now.Add(-time.Hour)}, {confirmedAt: now.Add(-time.Minute)}}}
	if got := v.entitlement().ConfirmedAt; !got.Equal(now.Add(-time.Hour)) {
		t.Errorf("%v", got)
	}
	if got := (view{linked: []string{"cus_1"}}).entitlement().ConfirmedAt; !got.IsZero() {
		t.Errorf("nothing is known, and that since %v", got)
	}
}
