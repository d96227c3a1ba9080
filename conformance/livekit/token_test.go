package livekit

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"

	"stagedoor"
	"stagedoor/internal/livekit"
)

const (
	apiKey    = "APIconformance"
	apiSecret = "a-secret-of-more-than-thirty-two-bytes-for-tests"
)

// signerAt returns a signer whose clock stands still, so that the times in
// its tokens are known to the second.
func signerAt(now time.Time) *livekit.Signer {
	return &livekit.Signer{Key: apiKey, Secret: stagedoor.NewSecret(apiSecret), Now: func() time.Time { return now }}
}

// ttls are drawn from for every token: the default, the longest, and one that
// is no whole number of seconds. All outlast the slowest machine's run;
// TestTimes has the short ones.
var ttls = []time.Duration{time.Hour, 24 * time.Hour, time.Hour + 700*time.Millisecond}

// TestEveryGrantMeansTheSameToLiveKit signs every combination of grants,
// names, rooms and identities and lets LiveKit's official library read each.
func TestEveryGrantMeansTheSameToLiveKit(t *testing.T) {
	now := time.Now()
	signer := signerAt(now)
	var ids sync.Map
	var signed, refused atomic.Int64
	t.Run("all", func(t *testing.T) {
		for i, p := range places() {
			t.Run(p.label, func(t *testing.T) {
				// In parallel, so that the race detector sees one signer shared.
				t.Parallel()
				random := rand.New(rand.NewPCG(uint64(i), 1))
				for _, name := range names() {
					for _, grants := range everyGrants() {
						a := stagedoor.Admission{Room: p.room, Identity: p.identity, Name: name,
							Grants: grants, TTL: ttls[random.IntN(len(ttls))]}
						if unsignable(grants) {
							wantUnsigned(t, signer, a)
							refused.Add(1)
							continue
						}
						id := judge(t, signer, a, now)
						if _, twice := ids.LoadOrStore(id, true); twice || id == "" {
							t.Fatalf("jti %q is not unique", id)
						}
						signed.Add(1)
					}
				}
			})
		}
	})
	combinations := int64(len(places()) * len(names()) * len(everyGrants()))
	if signed.Load()+refused.Load() != combinations || refused.Load() != combinations/56 {
		t.Errorf("%d signed and %d refused of %d", signed.Load(), refused.Load(), combinations)
	}
	t.Logf("%d tokens signed and judged, %d admissions refused", signed.Load(), refused.Load())
}

// judge signs one admission, holds the token to everything this page
// promises, and returns its jti.
func judge(t *testing.T, signer *livekit.Signer, a stagedoor.Admission, now time.Time) string {
	t.Helper()
	token, err := signer.Sign(a)
	if err != nil {
		t.Fatalf("%s: not signed: %v", label(a), err)
	}
	registered, claims := verify(t, token.Reveal(), apiSecret)
	if err := wantAdmitted(claims, a); err != nil {
		t.Fatalf("%s: %v", label(a), err)
	}
	_, official := verify(t, officialToken(t, a), apiSecret)
	if !reflect.DeepEqual(claims, official) {
		t.Fatalf("%s: LiveKit reads\n%+v\n%+v\nof ours and of its own", label(a), claims.Video, official.Video)
	}
	if err := wantSameRights(claims.Video, official.Video); err != nil {
		t.Fatalf("%s: %v", label(a), err)
	}
	raw, err := readRaw(token.Reveal())
	if err != nil {
		t.Fatalf("%s: %v", label(a), err)
	}
	if err := raw.wantExact(a, now); err != nil {
		t.Fatalf("%s: %v", label(a), err)
	}
	if registered.ID != raw.ID {
		t.Fatalf("%s: jti %q reads %q", label(a), raw.ID, registered.ID)
	}
	return raw.ID
}

func label(a stagedoor.Admission) string {
	return fmt.Sprintf("room %q identity %q name %q %+v", a.Room, a.Identity, a.Name, a.Grants)
}

// wantAdmitted holds what the official library reads to the admission: the
// rights that were granted and nothing else whatever.
func wantAdmitted(c *auth.ClaimGrants, a stagedoor.Admission) error {
	switch {
	case c.Identity != string(a.Identity) || c.Name != a.Name:
		return fmt.Errorf("identity %q name %q", c.Identity, c.Name)
	case c.Video == nil || c.Video.Room != string(a.Room) || !c.Video.RoomJoin:
		return fmt.Errorf("no right to join the room: %+v", c.Video)
	case c.GetParticipantKind() != lkproto.ParticipantInfo_STANDARD || len(c.GetKindDetails()) != 0:
		return fmt.Errorf("a participant of kind %s %s", c.GetParticipantKind(), c.GetKindDetails())
	case c.GetRoomConfiguration() != nil:
		return fmt.Errorf("a room configuration")
	}
	if name := onlySet(*c, "Identity", "Name", "Video"); name != "" {
		return fmt.Errorf("the claim %s is set", name)
	}
	if name := onlySet(*c.Video, "Room", "RoomJoin", "CanPublish", "CanSubscribe", "CanPublishData",
		"CanUpdateOwnMetadata", "CanPublishSources"); name != "" {
		return fmt.Errorf("the grant %s is set", name)
	}
	v, g := c.Video, a.Grants
	if v.GetCanPublish() != g.Publish || v.GetCanSubscribe() != g.Subscribe ||
		v.GetCanPublishData() != g.PublishData || v.GetCanUpdateOwnMetadata() != g.UpdateOwnMetadata {
		return fmt.Errorf("permissions %v", v.ToPermission())
	}
	if v.RoomAdmin || v.RoomCreate || v.RoomList || v.RoomRecord || v.IngressAdmin || v.Hidden || v.Recorder ||
		v.Agent || v.DestinationRoom != "" || v.GetCanSubscribeMetrics() || v.GetCanManageAgentSession() {
		return fmt.Errorf("a privilege: %+v", v)
	}
	return wantSources(v, g)
}

// wantSources asks LiveKit about each source, since that is what it asks
// itself when a track is published.
func wantSources(v *auth.VideoGrant, g stagedoor.Grants) error {
	allowed := map[stagedoor.Source]bool{}
	for _, source := range g.EffectiveSources() {
		allowed[source] = true
	}
	for source, proto := range trackSources {
		if got := v.GetCanPublishSource(proto); got != allowed[source] {
			return fmt.Errorf("publishing %s is %t", source, got)
		}
	}
	// A track of no known source may be published only when every source may.
	if got := v.GetCanPublishSource(lkproto.TrackSource_UNKNOWN); got != (g.Publish && g.Sources == nil) {
		return fmt.Errorf("publishing an unknown source is %t", got)
	}
	return nil
}

// onlySet returns the name of a field that is set though not listed, so that
// a privilege which a later release adds is judged without being known here.
func onlySet(structure any, listed ...string) string {
	value := reflect.ValueOf(structure)
	for i := range value.NumField() {
		name := value.Type().Field(i).Name
		known := false
		for _, l := range listed {
			known = known || l == name
		}
		if !known && !value.Field(i).IsZero() {
			return name
		}
	}
	return ""
}
