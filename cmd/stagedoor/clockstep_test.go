package main

import (
	"fmt"
	"testing"
	"time"

	"stagedoor"
)

// A clock that steps between an answer of Stripe's and a cancellation must not
// lose the cancellation, nor take anything from who pays.
func TestClockStep_LosesNoCancellationAndTakesNothingFromPayers(t *testing.T) {
	for _, step := range []time.Duration{-30 * time.Second, -45 * time.Second, -56 * time.Second, -10 * time.Minute, 2 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			t.Parallel()
			const customers = 12
			a := newAccount(t)
			for i := range customers {
				if err := a.stripe.Subscribe(fmt.Sprintf("user-%d", i), "User"); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.stripe.Subscribe("payer", "Payer"); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Sync(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			ask := func() { // the newest answer is of now, by this clock
				t.Helper()
				for i := range customers {
					customer, _ := a.ids(t, fmt.Sprintf("user-%d", i))
					if err := a.store.MarkDirty(t.Context(), a.clock(), customer); err != nil {
						t.Fatal(err)
					}
				}
				settle(t, a)
			}
			ask()

			a.pass(step)
			for i := range customers {
				if err := a.stripe.Cancel(fmt.Sprintf("user-%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			ask()

			for i := range customers {
				a.must(t, a.Known(), a.caller(t, fmt.Sprintf("user-%d", i), nil), stagedoor.SubscriptionInactive)
			}
			a.must(t, a.Known(), a.caller(t, "payer", nil), "")
		})
	}
}
