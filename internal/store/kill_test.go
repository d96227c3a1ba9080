package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stagedoor"
)

// childEnv makes the test binary a process that writes until it is killed.
const childEnv = "STORE_TEST_WRITES_TO"

func TestAcknowledgedEventsSurviveKill(t *testing.T) {
	if path := os.Getenv(childEnv); path != "" {
		writeUntilKilled(t, path)
		return
	}
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	path := filepath.Join(t.TempDir(), "stagedoor.db")
	var all []string
	for round := range rounds {
		acknowledged := killedChild(t, path, round)
		all = append(all, acknowledged...)
		checkSurvived(t, path, acknowledged)
	}
	checkSurvived(t, path, all)
	t.Logf("%d acknowledged events in %d rounds", len(all), rounds)
	if len(all) < rounds {
		t.Errorf("%d events in %d rounds prove little", len(all), rounds)
	}
}

// eventNamed is the event of an ID, so that both processes know what it says.
func eventNamed(id string) stagedoor.BillingEvent {
	return stagedoor.BillingEvent{ID: id, Type: "checkout.session.completed", Created: time.Now(), Objects: []string{"cus_" + id},
		Link: stagedoor.Link{Reference: "ref_" + id, Customer: "cus_" + id, Source: "checkout"}}
}

// writeUntilKilled prints the ID of each event once it is acknowledged.
func writeUntilKilled(t *testing.T, path string) {
	s, err := Open(context.Background(), path, Index{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("evt_%d_%d_%d", os.Getpid(), g, i)
				fresh, err := s.SaveEvent(context.Background(), eventNamed(id), time.Now())
				if err != nil || !fresh {
					t.Error(fresh, err)
					return
				}
				if _, err := os.Stdout.WriteString(id + "\n"); err != nil {
					return
				}
				// Writes of the other durability in between.
				if _, err := s.SaveCustomer(context.Background(), stagedoor.Customer{ID: fmt.Sprint("cus_", i%100), AskedAt: time.Now()}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// killedChild runs a child, kills it at a random instant, and returns what it
// acknowledged. Every third is killed while it starts or a little later.
func killedChild(t *testing.T, path string, round int) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestAcknowledgedEventsSurviveKill$", "-test.timeout=1m")
	child.Env = append(os.Environ(), childEnv+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	kill := func() { _ = child.Process.Kill() } // SIGKILL
	if round%3 == 2 {
		time.AfterFunc(rand.N(150*time.Millisecond), kill)
	} else {
		go func() {
			<-began
			time.Sleep(rand.N(80 * time.Millisecond))
			kill()
		}()
	}
	var acknowledged []string
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line that was cut off says nothing
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		if len(acknowledged) == 0 {
			close(began)
		}
		id := strings.TrimSpace(line)
		if !strings.HasPrefix(id, "evt_") {
			t.Fatalf("the child says %q", id)
		}
		acknowledged = append(acknowledged, id)
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return acknowledged
}

// checkSurvived opens the database and looks for each acknowledged event, its
// dirty mark and its link.
func checkSurvived(t *testing.T, path string, acknowledged []string) {
	t.Helper()
	ctx := context.Background()
	s, err := Open(ctx, path, Index{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var verdict string
	if err := s.writes.conn.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity: %q %v", verdict, err)
	}
	for _, id := range acknowledged {
		var since int64
		event := eventNamed(id)
		ok, err := s.reads.row(ctx, "SELECT d.since FROM events e JOIN dirty d ON d.object = $2 WHERE e.id = $1 AND e.type = $3", []any{id, event.Objects[0], event.Type}, &since)
		links, failed := s.Links(ctx, []string{event.Link.Reference})
		if err != nil || failed != nil || !ok || since == 0 || len(links) != 1 || links[0] != event.Link {
			t.Fatalf("%s was acknowledged and is lost: %v %d %v %v %v", id, ok, since, links, err, failed)
		}
	}
}
