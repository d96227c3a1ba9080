package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"stagedoor": main, "livekit-server": standInLiveKit})
}

// TestScripts runs the real program as users do. Besides testscript's own
// commands there are: port NAME (a free port into $NAME), ready URL (wait for
// a 200; ! ready for anything else), gone ADDRESS (wait until nothing listens),
// jwt NAME SECRET [claim=value …] (a caller's token into $NAME), http METHOD URL
// STATUS [header …] [< body] (the answer becomes stdout) and grab NAME REGEXP
// (a group of stdout into $NAME). eventually http … waits ten seconds for the status.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("ADMIN_ADDR", "127.0.0.1:0")
			program, err := exec.LookPath("stagedoor")
			env.Setenv("PROGRAM", program)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"port": cmdPort, "ready": cmdReady, "jwt": cmdJWT, "http": cmdHTTP, "gone": cmdGone, "eventually": cmdEventually, "grab": cmdGrab,
		},
	})
}

func cmdPort(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Check(listener.Close())
	ts.Setenv(args[0], fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
}

func cmdReady(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(args[0])
		if err != nil {
			continue
		}
		ts.Check(resp.Body.Close())
		if (resp.StatusCode == http.StatusOK) != neg {
			return
		}
	}
	ts.Fatalf("%s: not as expected within 10 s", args[0])
}

// cmdGone waits until nothing listens at an address any more.
func cmdGone(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(14 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	ts.Fatalf("%s still listens", args[0])
}

// cmdGrab keeps what the last command printed that matches a group.
func cmdGrab(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("stdout has no %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func cmdJWT(ts *testscript.TestScript, _ bool, args []string) {
	claims := jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		claims[name] = value
		if name == "exp" {
			claims[name] = time.Now().Add(-time.Hour).Unix()
		}
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(args[1]))
	ts.Check(err)
	ts.Setenv(args[0], token)
}

func cmdHTTP(ts *testscript.TestScript, _ bool, args []string) {
	resp, body := sendHTTP(ts, args)
	_ = resp.Header.Write(ts.Stdout())
	_, _ = fmt.Fprintln(ts.Stdout(), body)
	if fmt.Sprint(resp.StatusCode) != args[2] {
		ts.Fatalf("%s %s: %d %s", args[0], args[1], resp.StatusCode, body)
	}
}

// sendHTTP sends the request that an http's arguments say.
func sendHTTP(ts *testscript.TestScript, args []string) (*http.Response, string) {
	if len(args) < 3 {
		ts.Fatalf("usage: http METHOD URL STATUS [name: value …] [< body]")
	}
	var body io.Reader
	header := http.Header{}
	for i := 3; i < len(args); i++ {
		if args[i] == "<" {
			body = strings.NewReader(args[i+1])
			break
		}
		name, value, _ := strings.Cut(args[i], ": ")
		header.Set(name, value)
	}
	req, err := http.NewRequestWithContext(context.Background(), args[0], args[1], body)
	ts.Check(err)
	req.Header = header
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	ts.Check(err)
	var out bytes.Buffer
	_, err = out.ReadFrom(resp.Body)
	ts.Check(err)
	ts.Check(resp.Body.Close())
	return resp, out.String()
}

// cmdEventually repeats an http until its status is the one wanted.
func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	var last int
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		resp, _ := sendHTTP(ts, args[1:])
		if last = resp.StatusCode; fmt.Sprint(last) == args[3] {
			return
		}
	}
	ts.Fatalf("%q: still %d", args, last)
}

// standInLiveKit answers like a LiveKit server's health check, at the port of
// its settings, and ends as one does. A file called livekit-fails makes it fail at once.
func standInLiveKit() {
	settings := os.Getenv("LIVEKIT_CONFIG")
	port := regexp.MustCompile(`(?m)^port: (\d+)`).FindStringSubmatch(settings)
	if port == nil || !regexp.MustCompile(`(?m)^keys: \{API\w+: \w{40,}\}`).MatchString(settings) {
		fmt.Println("no port or keys in LIVEKIT_CONFIG")
		os.Exit(1)
	}
	if _, err := os.Stat("livekit-fails"); err == nil {
		fmt.Println("the stand-in fails on purpose")
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		_ = http.ListenAndServe("127.0.0.1:"+port[1], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK")) }))
	}()
	<-ctx.Done()
}
