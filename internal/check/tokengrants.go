package check

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"
)

// longest is how long a LiveKit token may sensibly be used to connect.
const longest = 24 * time.Hour

// livekitToken walks a LiveKit token through what LiveKit asks of it, and says
// what of it is unsafe in a participant's hands.
//
// SPEC: livekit/protocol auth/verifier.go, auth/grants.go; livekit-server pkg/service/utils.go.
func (w *walk) livekitToken() {
	alg, _ := w.header["alg"].(string)
	if alg == "HS256" {
		w.say("algorithm", "its algorithm is taken", Pass, alg, "")
	} else {
		w.say("algorithm", "its algorithm is taken", Fail, "LiveKit takes HS256 alone, this is "+w.shown(alg), "sign it with HS256 and the API secret")
	}
	w.livekitKey()
	w.times(time.Minute, false)
	w.validity()
	switch sub, _ := w.claims["sub"].(string); {
	case sub == "":
		w.say("subject", "it names a participant", Fail, "it has no sub: LiveKit answers 400, identity cannot be empty", "put the participant's identity into sub")
	case len(sub) > 256:
		w.say("subject", "it names a participant", Fail, fmt.Sprintf("its identity has %d bytes, LiveKit takes 256", len(sub)), "use a shorter identity")
	default:
		w.say("subject", "it names a participant", Pass, "identity "+w.shown(sub), "")
	}
	w.attributes()
	w.grants()
}

// livekitKey compares iss with the configured keys and the signature with
// their secrets.
func (w *walk) livekitKey() {
	const key, signature = "its key is known", "its signature holds"
	iss, _ := w.claims["iss"].(string)
	secret, known := w.ring.LiveKitKeys[iss]
	signer := w.signer()
	switch {
	case known:
		w.say("key", key, Pass, "iss "+w.shown(iss), "")
	case iss != "" && subtle.ConstantTimeCompare([]byte(iss), []byte(w.secretOf(livekitSecret).Reveal())) == 1:
		w.say("key", key, Fail, "its iss is the value of LIVEKIT_API_SECRET: key and secret were swapped when it was signed", "exchange the two where it is signed, and make a new pair in LiveKit: this token shows the secret to whoever has it")
	default:
		w.say("key", key, Fail, "its iss is "+w.shown(iss)+", which is not LIVEKIT_API_KEY: it was signed with another project's key", "sign it with the key of the server that it is used at")
	}
	switch {
	case known && signer == secret:
		w.say("signature", signature, Pass, "signed with "+signer, "")
	case signer != "":
		w.say("signature", signature, Fail, "it is signed with "+signer+", which is not that key's secret", "sign it with the secret that belongs to its iss")
	case known && w.secretOf(secret).Empty():
		w.say("signature", signature, Skip, secret+" is not configured", "")
	case known:
		w.say("signature", signature, Fail, "it is not signed with "+secret+": LiveKit answers 401, invalid token", "set LIVEKIT_API_SECRET to the secret of that key where it is signed, byte for byte")
	default:
		w.say("signature", signature, Skip, "the secret of its key is not known here", "")
	}
}

// validity remarks on tokens that open a room for long.
func (w *walk) validity() {
	exp, expires, wrong := w.at("exp")
	if !expires || wrong != "" {
		return
	}
	from := w.target.Now()
	for _, name := range []string{"nbf", "iat"} {
		if begin, present, wrong := w.at(name); present && wrong == "" {
			from = begin
			break
		}
	}
	lasting := exp.Sub(from)
	if lasting > longest {
		w.say("validity", "it is short-lived", Warn, "it may be used for "+said(lasting)+": LiveKit cannot take it back", "make it valid for minutes: whoever is connected gets new ones from LiveKit")
		return
	}
	w.say("validity", "it is short-lived", Pass, said(lasting), "")
}

// attributes that are not strings make LiveKit refuse the whole token.
func (w *walk) attributes() {
	attributes, present := w.claims["attributes"]
	if !present {
		return
	}
	object, ok := attributes.(map[string]any)
	for _, value := range object {
		if _, text := value.(string); !text {
			ok = false
		}
	}
	if !ok {
		w.say("attributes", "its attributes are texts", Fail, "an attribute is not a string: LiveKit refuses the whole token", "write every attribute as a string")
	}
}

// powers are grants that no participant should hold, with what each opens.
var powers = []struct{ name, opens string }{
	{"roomAdmin", "its holder can mute and remove anybody in the room, and give himself every right back"},
	{"roomCreate", "its holder can create rooms, and delete any room there is"},
	{"roomList", "its holder sees every room"},
	{"roomRecord", "its holder can record, at your cost"},
	{"ingressAdmin", "its holder can feed streams into rooms"},
	{"hidden", "its holder is in the room unseen"},
	{"recorder", "its holder passes for a recorder and does not count"},
	{"agent", "its holder passes for an agent and does not count"},
	{"canManageAgentSession", "its holder can direct agents"},
}

// grants shows what the token opens, and what LiveKit reads into what is not there.
func (w *walk) grants() {
	const title = "what it opens"
	video, ok := w.claims["video"].(map[string]any)
	if !ok {
		w.say("grants", title, Fail, "it has no video grant: LiveKit answers 401, no permissions to access the room", "put room and roomJoin into video")
		return
	}
	room, _ := video["room"].(string)
	switch {
	case video["roomJoin"] != true:
		w.say("grants.join", "it may join", either(isServer(video), Pass, Fail), "roomJoin is not true: it is no participant's", either(isServer(video), "", "set video.roomJoin to true in a participant's token"))
	case room == "" && video["roomName"] != nil:
		w.say("grants.join", "it may join", Fail, "the room is called roomName in it: LiveKit answers 400, no room name", "call it room")
	case room == "":
		w.say("grants.join", "it may join", Fail, "it names no room: LiveKit answers 400, no room name", "name the room in video.room")
	case len(room) > 256:
		w.say("grants.join", "it may join", Fail, fmt.Sprintf("its room has %d bytes, LiveKit takes 256", len(room)), "use a shorter name")
	default:
		w.say("grants.join", "it may join", Pass, "room "+w.shown(room), "")
	}
	w.permission(video, "canSubscribe", "may watch", true)
	publish := w.permission(video, "canPublish", "may publish", true)
	w.permission(video, "canPublishData", "may send data", publish)
	w.sources(video["canPublishSources"])
	for _, p := range powers {
		if video[p.name] == true {
			w.say("grants."+p.name, p.name, Warn, p.opens, "leave "+p.name+" out of participants' tokens")
		}
	}
	for _, name := range []string{"sip", "inference", "observability"} {
		if w.claims[name] != nil {
			w.say("grants."+name, name, Warn, "it holds a grant for "+name, "leave "+name+" out of participants' tokens")
		}
	}
	if kind, _ := w.claims["kind"].(string); kind != "" && kind != "standard" {
		w.say("grants.kind", "kind", Warn, "its holder passes for "+w.shown(kind), "leave kind out of participants' tokens")
	}
}

// isServer reports whether a grant is for calls to RoomService.
func isServer(video map[string]any) bool {
	return video["roomAdmin"] == true || video["roomList"] == true || video["roomCreate"] == true || video["roomRecord"] == true || video["ingressAdmin"] == true
}

// permission shows one right; unset is what LiveKit takes it for.
func (w *walk) permission(video map[string]any, name, title string, unset bool) bool {
	value, present := video[name]
	granted, ok := value.(bool)
	switch {
	case !present && unset:
		w.say("grants."+name, title, Warn, "yes: "+name+" is not set, and LiveKit takes that for granted", "write "+name+" out, true or false")
		return true
	case !present:
		w.say("grants."+name, title, Pass, "no: "+name+" is not set, and follows canPublish", "")
		return false
	case !ok:
		w.say("grants."+name, title, Fail, name+" is not true or false: LiveKit refuses the whole token", "write it as true or false, without quotes")
		return false
	}
	w.say("grants."+name, title, Pass, either(granted, "yes", "no"), "")
	return granted
}

// sources shows which kinds of tracks may be published.
func (w *walk) sources(value any) {
	const title = "may publish from"
	names, ok := listed(value)
	if value == nil {
		return
	}
	known := []string{"camera", "microphone", "screen_share", "screen_share_audio"}
	unknown := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(known, n) })
	switch {
	case !ok:
		w.say("grants.sources", title, Fail, "canPublishSources is not a list of strings: LiveKit refuses the whole token", "write it as a list")
	case len(names) == 0:
		w.say("grants.sources", title, Warn, "an empty list of sources means every source", "set canPublish to false if nothing is meant")
	case len(unknown) > 0:
		w.say("grants.sources", title, Warn, w.list(unknown)+" is no source: they are lower case", "write "+strings.Join(known, ", "))
	default:
		w.say("grants.sources", title, Pass, strings.Join(names, ", "), "")
	}
}
