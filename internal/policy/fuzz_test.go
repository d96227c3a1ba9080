package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

// FuzzParse holds any file to: no panic, a file or faults and never both,
// every fault at a place that is there, and examples that run.
func FuzzParse(f *testing.F) {
	f.Add([]byte(designExample))
	f.Add([]byte("rooms: [{room: '{a...}', join: |\n claims.x}]\n"))
	f.Add([]byte("issuers:\n  - {issuer: https://a, audiences: [x]}\nrooms:\n  - room: \"a\\u00e4-{b}\"\n    publish: \"\\\"x\\\" in\\\n features\"\n"))
	f.Add([]byte("rooms:\n - room: a\n   join: >-\n     claims.x &&\n\n     clams\n"))
	paths, _ := filepath.Glob("../../examples/policies/*.yaml")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("p", data, limits())
		if (file == nil) == (err == nil) {
			t.Fatalf("%v %v", file, err)
		}
		if err == nil {
			file.Test()
			file.Claims()
			return
		}
		faults, ok := err.(Faults)
		if !ok || len(faults) == 0 || len(faults) > maxFaults+1 {
			t.Fatalf("%T %v", err, err)
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, fault := range faults {
			if fault.Line < 0 || fault.Line > lines || fault.Column < 0 || fault.Line > 0 && fault.Column < 1 || fault.What == "" || strings.ContainsAny(fault.Error(), "\x1b\n") {
				t.Errorf("%+v", fault)
			}
		}
	})
}

// FuzzDecide holds any claims and room to: no panic, a refusal or a decision
// that can be signed, within bounded time, and the same again.
func FuzzDecide(f *testing.F) {
	policies := []*File{parse(f, designExample), parse(f, one("room: '{a}-{rest...}'",
		"join: \"claims.x.exists(v, v == claims.y) || claims.x == claims.y || room.a in claims.x || claims.s.matches('^(a|b)+$')\"",
		"publish: \"claims.s.split(room.a).size() > 1 || string(claims.y) == claims.s || size(claims) > 3\"",
		"sources: {camera: \"claims.x.map(v, v + claims.y).size() > 0\", microphone: \"claims.x.all(v, has(v.k))\"}",
		"moderate: \"timestamp(claims.s) < now || claims.x[0][0] == claims.y\""))}
	paths, _ := filepath.Glob("../../examples/policies/*.yaml")
	for _, path := range paths {
		policies = append(policies, recipe(f, path))
	}
	f.Add("team-red", `{"teams":["red"],"role":"host"}`, "publish", uint8(0))
	f.Add("a-b-c", `{"x":[1,"a",{"k":null}],"y":1,"s":"abab"}`, "publish:screen", uint8(1))
	f.Add("a-b-c", `{"x":[[[[1]]]],"y":[[[1]]],"s":"2026-01-01T00:00:00Z"}`, "x", uint8(1))
	f.Fuzz(func(t *testing.T, room, claims, feature string, which uint8) {
		var decoded stagedoor.Claims
		if json.Unmarshal([]byte(claims), &decoded) != nil || len(claims) > 16<<10 {
			return
		}
		policy := policies[int(which)%len(policies)]
		s := who(room, decoded, stagedoor.Feature(feature))
		start := time.Now()
		d, err := policy.Decide(s)
		if took := time.Since(start); took > time.Second {
			t.Fatalf("took %v", took)
		}
		again, errAgain := policy.Decide(s)
		switch {
		case (err == nil) != (errAgain == nil) || !d.Grants.Same(again.Grants) || d.Moderate != again.Moderate:
			t.Fatalf("%+v %v, then %+v %v", d, err, again, errAgain)
		case err != nil && (!isRefusal(err) || d.TTL != 0):
			t.Fatalf("%+v %v", d, err)
		case err == nil && (d.TTL < 2*time.Minute || !d.Grants.Subscribe || d.Grants.Publish == (d.PublishDenied != "")):
			t.Fatalf("%+v", d)
		}
		policy.Explain(s)
	})
}
