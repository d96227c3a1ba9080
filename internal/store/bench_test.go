package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"stagedoor"
)

// rowsEnv says how many customers, principals, mints and links the larger
// database of the benchmarks has; 100,000 unless set.
const rowsEnv = "STORE_BENCH_ROWS"

// Benchmark measures what a join asks of the store, on a small database and on
// a large one: the cost must be flat.
func Benchmark(b *testing.B) {
	most := 100_000
	if text := os.Getenv(rowsEnv); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	for _, rows := range []int{1000, most} {
		s, path := filled(b, rows)
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) { benchmarkReads(b, s, rows) })
		b.Run(fmt.Sprintf("rows=%d/write", rows), func(b *testing.B) { benchmarkWrites(b, s, rows) })
		if info, err := os.Stat(path); err == nil {
			b.Logf("rows=%d: %d MB", rows, info.Size()>>20)
		}
	}
}

func principalNo(i int) stagedoor.Principal {
	subject := fmt.Sprintf("user_%08d", i)
	return stagedoor.Principal{Issuer: "https://idp.example.com", Subject: subject, Handle: subject, Name: "Name", IssuedAt: time.Unix(1_800_000_000, 0),
		Claims: stagedoor.Claims{"stripe_customer_id": customerNo(i), "role": "host", "teams": []any{"red", "blue"}}}
}

func customerNo(i int) string { return fmt.Sprintf("cus_%014d", i) }

func mintNo(i int) stagedoor.Mint {
	p := principalNo(i)
	return stagedoor.Mint{Room: "test-room", Identity: stagedoor.Identity(p.Subject), Principal: p.Key()}
}

func customer(i int, at time.Time) stagedoor.Customer {
	return stagedoor.Customer{ID: customerNo(i), Reference: principalNo(i).Subject, AskedAt: at, EntitlementsAt: at,
		Subscriptions: []stagedoor.Subscription{{ID: fmt.Sprintf("sub_%024d", i), Status: "active",
			Items: []stagedoor.SubscriptionItem{{Price: "price_1N00000000000000", Product: "prod_N0000000000000", PeriodStart: at, PeriodEnd: at.Add(30 * day)}}}}}
}

// filled returns a store of so many customers, principals, mints and links.
func filled(b *testing.B, rows int) (*Store, string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "stagedoor.db")
	s := mustOpen(b, path)
	if _, err := s.writes.conn.ExecContext(b.Context(), "PRAGMA synchronous = OFF"); err != nil {
		b.Fatal(err)
	}
	s.writes.set, s.writes.mode = true, retold
	for i := range rows {
		_, err := s.SaveCustomer(b.Context(), customer(i, time.Now()))
		if err == nil {
			_, err = s.Remember(b.Context(), principalNo(i))
		}
		if err == nil {
			err = s.Minted(b.Context(), mintNo(i))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	s.writes.set = false
	return s, path
}

func benchmarkReads(b *testing.B, s *Store, rows int) {
	// A context that can end, as a request's does.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	principals, mints, customers := make([]stagedoor.Principal, rows), make([]stagedoor.Mint, rows), make([]string, rows)
	for i := range rows {
		principals[i], mints[i], customers[i] = principalNo(i), mintNo(i), customerNo(i)
	}
	for _, c := range []struct {
		name string
		op   func(i int) error
	}{
		{"Remember/same", func(i int) error { _, err := s.Remember(ctx, principals[i]); return err }},
		{"Minted/kept", func(i int) error { return s.Minted(ctx, mints[i]) }},
		{"Links", func(i int) error { _, err := s.Links(ctx, principals[i].References(nil)); return err }},
		{"Customer", func(i int) error { _, _, err := s.Customer(ctx, customers[i]); return err }},
		{"Mint", func(i int) error { _, _, err := s.Mint(ctx, mints[i].Room, mints[i].Identity); return err }},
		{"Principal", func(i int) error { _, _, err := s.Principal(ctx, principals[i].Key()); return err }},
		{"PrincipalsOf", func(i int) error { _, err := s.PrincipalsOf(ctx, customers[i]); return err }},
		{"PresentOf", func(i int) error { _, err := s.PresentOf(ctx, principals[i].Key()); return err }},
		{"BansVersion", func(int) error { _, err := s.BansVersion(ctx); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := c.op(i); err != nil {
					b.Fatal(err)
				}
				i = (i + 7919) % rows
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i = (i + 7919) % rows {
					if err := c.op(i); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func benchmarkWrites(b *testing.B, s *Store, rows int) {
	ctx := context.Background()
	start := time.Now()
	for _, c := range []struct {
		name string
		op   func(i int) error
	}{
		{"Remember/newer token", func(i int) error {
			p := principalNo(i % rows)
			p.IssuedAt = start.Add(time.Duration(i) * time.Second)
			_, err := s.Remember(ctx, p)
			return err
		}},
		{"Minted/new", func(i int) error {
			m := mintNo(i % rows)
			m.Room = stagedoor.Room(fmt.Sprint("room-", start.UnixNano(), i))
			return s.Minted(ctx, m)
		}},
		{"SaveCustomer", func(i int) error { _, err := s.SaveCustomer(ctx, customer(i%rows, time.Now())); return err }},
		{"SaveEvent", func(i int) error {
			_, err := s.SaveEvent(ctx, stagedoor.BillingEvent{ID: fmt.Sprint("evt_", time.Now().UnixNano(), i), Objects: []string{customerNo(i % rows)}}, time.Now())
			return err
		}},
		{"SaveEvent and SaveCustomer", func(i int) error {
			_, err := s.SaveEvent(ctx, stagedoor.BillingEvent{ID: fmt.Sprint("evt_", time.Now().UnixNano(), i), Objects: []string{customerNo(i % rows)}}, time.Now())
			if err == nil {
				_, err = s.SaveCustomer(ctx, customer(i%rows, time.Now()))
			}
			return err
		}},
		{"commit NORMAL", func(i int) error { return s.write(ctx, retold, "bump", bumpBans) }},
		{"commit FULL", func(i int) error { return s.write(ctx, acknowledged, "bump", bumpBans) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				if err := c.op(i); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
