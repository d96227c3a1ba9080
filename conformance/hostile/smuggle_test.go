package hostile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	body      = `{"room":"outer"}`
	chunked   = "10\r\n" + body + "\r\n0\r\n\r\n"
	smuggling = "Transfer-Encoding: chunked\r\n"
)

// vector is one connection's bytes that two readers may split differently.
type vector struct {
	name, request string
	// status is the one answer's; 0: the connection is closed without one.
	status int
	// open: the request is read one way only, and the next one is answered.
	open bool
}

// hidden is a request that is part of another one, or of none. Everybody may
// make it: what counts is that nobody's proxy saw it.
func hidden() string {
	const inner = `{"room":"smuggled"}`
	return "POST /api/join HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer " + callerToken("mallory") +
		"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(inner)) + "\r\n\r\n" + inner
}

// outer is a join with header lines of its own; what follows its head has the
// hidden request at its end.
func outer(lines, after string) string {
	return joinHead("alice") + lines + "\r\n" + after + hidden()
}

// length is a Content-Length line for all that follows the head.
func length(format, after string) string {
	return fmt.Sprintf(format, len(after+hidden()))
}

// bothFramings are requests with Content-Length and Transfer-Encoding, or with
// a Transfer-Encoding that not everybody reads as chunked.
//
// SPEC: RFC 9112 §6.1, §6.3, §11.2.
func bothFramings() []vector {
	all := []vector{
		{name: "CL.TE", request: outer(length("Content-Length: %d\r\n", chunked)+smuggling, chunked), status: 200},
		{name: "TE.CL", request: outer(smuggling+length("Content-Length: %d\r\n", chunked), chunked), status: 200},
		{name: "CL 0 and TE", request: outer("Content-Length: 0\r\n"+smuggling, chunked), status: 200},
		{name: "CL 4 and TE", request: outer("Content-Length: 4\r\n"+smuggling, chunked), status: 200},
		{name: "TE alone", request: outer(smuggling, chunked), status: 200},
		{name: "bad CL and TE", request: outer("Content-Length: x\r\n"+smuggling, chunked), status: 400},
		{name: "two CLs and TE", request: outer("Content-Length: 4\r\nContent-Length: 5\r\n"+smuggling, chunked), status: 400},
		{name: "TE of another case", request: outer("tRANSFER-eNCODING: CHUNKED\r\n", chunked), status: 200},
		{name: "TE with spaces", request: outer("Transfer-Encoding: \t chunked \t\r\n", chunked), status: 200},
		{name: "TE folded", request: outer("Transfer-Encoding:\r\n chunked\r\n", chunked), status: 200},
		{name: "TE in a folded line", request: outer("X-A: b\r\n Transfer-Encoding: chunked\r\n", chunked), status: 400},
		{name: "CL in a folded line", request: outer(length("X-A: b\r\n Content-Length: %d\r\n", ""), ""), status: 400},
		{name: "TE behind a bare LF", request: outer("X-A: b\nTransfer-Encoding: chunked\r\n", chunked), status: 200},
		{name: "TE behind a bare CR", request: outer("X-A: b\rTransfer-Encoding: chunked\r\n", chunked), status: 400},
		{name: "space before colon", request: outer("Transfer-Encoding : chunked\r\n", chunked), status: 400},
		{name: "tab before colon", request: outer("Transfer-Encoding\t: chunked\r\n", chunked), status: 400},
		{name: "NUL in the name", request: outer("Transfer-Encoding\x00: chunked\r\n", chunked), status: 400},
		{name: "underscore", request: outer("Transfer_Encoding: chunked\r\n", chunked), status: 400},
		{name: "two TE lines", request: outer(smuggling+smuggling, chunked), status: 501},
		{name: "TE and identity", request: outer(smuggling+"Transfer-Encoding: identity\r\n", chunked), status: 501},
	}
	for _, coding := range []string{"chunked, identity", "identity, chunked", "chunked, chunked", "gzip, chunked", "xchunked", "chunkedx", "chunked;q=1", `"chunked"`, "identity", "", "chunked,", ",chunked", "'chunked'", "chu nked"} {
		all = append(all, vector{name: "TE " + coding, request: outer(length("Content-Length: %d\r\n", chunked)+"Transfer-Encoding: "+coding+"\r\n", chunked), status: 501})
	}
	for _, coding := range []string{"\xa0chunked", "\u212ahun\u212aed", "chun\u212aed"} {
		all = append(all, vector{name: fmt.Sprintf("TE %q", coding), request: outer("Transfer-Encoding: "+coding+"\r\n", chunked), status: 501})
	}
	for _, coding := range []string{"\x0bchunked", "\x00chunked", "chunked\x00", "chunked\x7f"} {
		all = append(all, vector{name: fmt.Sprintf("TE %q", coding), request: outer("Transfer-Encoding: "+coding+"\r\n", chunked), status: 400})
	}
	return all
}

// lengths are Content-Lengths that some read as a number.
//
// SPEC: RFC 9110 §8.6; RFC 9112 §6.3.
func lengths() []vector {
	n := len(hidden())
	all := []vector{
		{name: "the same length twice", request: outer(length("Content-Length: %[1]d\r\nContent-Length: %[1]d\r\n", ""), ""), status: 400, open: true},
		{name: "zeros before", request: outer(length("Content-Length: 000%d\r\n", ""), ""), status: 400, open: true},
		{name: "spaces around", request: outer(length("Content-Length: \t %d \t\r\n", ""), ""), status: 400, open: true},
		{name: "folded", request: outer(length("Content-Length:\r\n %d\r\n", ""), ""), status: 400, open: true},
		{name: "GET with a body", request: "GET /healthz HTTP/1.1\r\nHost: door\r\n" + length("Content-Length: %d\r\n\r\n", "") + hidden(), status: 200, open: true},
		{name: "HEAD of nothing with a body", request: "DELETE /nowhere HTTP/1.1\r\nHost: door\r\n" + length("Content-Length: %d\r\n\r\n", "") + hidden(), status: 404, open: true},
		{name: "refused before its body", request: "POST /api/join HTTP/1.1\r\nHost: door\r\nExpect: 100-continue\r\n" + length("Content-Length: %d\r\n\r\n", "") + hidden(), status: 401},
		{name: "another expectation", request: "POST /api/join HTTP/1.1\r\nHost: door\r\nExpect: 200-ok\r\n" + length("Content-Length: %d\r\n\r\n", "") + hidden(), status: 417},
		{name: "too large", request: outer("Content-Length: 20000\r\n", ""), status: 413},
	}
	for _, value := range []string{"", "+%d", "-%d", "0x%x", "%d, %[1]d", "%d,", "%d;", "%d %[1]d", "%d.0", "%de0", "%d_", "'%d'", "18446744073709551616%d", "9223372036854775808", "\x00%d", "%d\x00", "\x0b%d", "٣", "NaN"} {
		if strings.Contains(value, "%") {
			value = fmt.Sprintf(value, n)
		}
		all = append(all, vector{name: fmt.Sprintf("CL %q", value), request: outer("Content-Length: "+value+"\r\n", ""), status: 400})
	}
	for name, lines := range map[string]string{
		"two lengths": "Content-Length: 0\r\nContent-Length: %d\r\n", "space before colon": "Content-Length : %d\r\n", "behind a bare CR": "X-A: b\rContent-Length: %d\r\n",
	} {
		all = append(all, vector{name: "CL " + name, request: outer(length(lines, ""), ""), status: 400})
	}
	// Folded into the type that it follows.
	return append(all, vector{name: "CL folded", request: outer(length(" Content-Length: %d\r\n", ""), ""), status: 415})
}

// chunks are bodies in chunks that not everybody cuts at the same place.
//
// SPEC: RFC 9112 §7.1.
func chunks() []vector {
	all := []vector{
		{name: "an extension", request: outer(smuggling, "10;a=b\r\n"+body+"\r\n0\r\n\r\n"), status: 200},
		{name: "a quoted extension", request: outer(smuggling, "10;a=\"b\"\r\n"+body+"\r\n0;x\r\n\r\n"), status: 200},
		{name: "zeros before", request: outer(smuggling, "0000010\r\n"+body+"\r\n000\r\n\r\n"), status: 200},
		{name: "a trailer that says who", request: outer(smuggling+"Trailer: Authorization\r\n", "10\r\n"+body+"\r\n0\r\nAuthorization: Bearer "+callerToken("mallory")+"\r\n\r\n"), status: 200},
		{name: "an unannounced trailer that says who", request: outer(smuggling, "10\r\n"+body+"\r\n0\r\nAuthorization: Bearer "+callerToken("mallory")+"\r\n\r\n"), status: 200},
		{name: "a trailer that says how long", request: outer(smuggling, "10\r\n"+body+"\r\n0\r\nContent-Length: 500\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n\r\n"), status: 200},
		{name: "a trailer that announces a length", request: outer(smuggling+"Trailer: Content-Length\r\n", "10\r\n"+body+"\r\n0\r\nContent-Length: 500\r\n\r\n"), status: 400},
		{name: "no end of the trailer", request: outer(smuggling, "10\r\n"+body+"\r\n0\r\n"), status: 400},
	}
	for _, line := range []string{"", "-10\r\n", "+10\r\n", "0x10\r\n", "g\r\n", "\r\n10\r\n", "1 0\r\n", "1_0\r\n", "10\n", "10;a\nb\r\n", "10;\n", "10\r", "10000000000000010\r\n", "fffffffffffffffff0\r\n", ";a\r\n", "10\x00\r\n",
		"10;" + strings.Repeat("a", 20000) + "\r\n"} {
		all = append(all, vector{name: fmt.Sprintf("chunk %.20q", line), request: outer(smuggling, line+body+"\r\n0\r\n\r\n"), status: 400})
	}
	for _, rest := range []string{body + "0\r\n\r\n", body + "\n0\r\n\r\n", body + "xx0\r\n\r\n", body[:15] + "\r\n0\r\n\r\n", body + "\r\n0\n\n", body + "\r\n\r\n0\r\n\r\n"} {
		all = append(all, vector{name: fmt.Sprintf("chunk's end %q", rest), request: outer(smuggling, "10\r\n"+rest), status: 400})
	}
	return all
}

func TestSmuggledRequestsAreNotAnswered(t *testing.T) {
	t.Parallel()
	d := open(t, own{})
	for name, vectors := range map[string][]vector{"both framings": bothFramings(), "lengths": lengths(), "chunks": chunks(), "versions": versions(), "targets": targets(), "lines": lines()} {
		t.Run(name, func(t *testing.T) {
			for _, v := range vectors {
				v.check(t, d)
			}
		})
	}
	if strings.Contains(d.out.String(), "smuggled") || strings.Contains(d.out.String(), "mallory") {
		t.Error("a hidden request was answered")
	}
	d.recovered(t)
}

// check sends the vector. It is answered once, as the table says, and what is
// hidden in it is not.
func (v vector) check(t *testing.T, d *door) {
	t.Helper()
	all := d.exchange(t, v.request)
	if v.open {
		if len(all) < 2 || !all[len(all)-1].healthy() {
			t.Errorf("%s: the next request is not answered: %v", v.name, all)
			return
		}
		all = all[:len(all)-1]
	}
	var statuses []int
	for _, a := range all {
		statuses = append(statuses, a.status)
		if strings.Contains(a.body, "mallory") || a.status == 200 && strings.Contains(a.body, "token") && granted([]byte(a.body), "alice") != nil {
			t.Errorf("%s: %s", v.name, a.body)
		}
		if a.status != 200 {
			mustHoldNoToken(t, v.name, a.body)
		}
	}
	want := []int{v.status}
	if v.status == 0 {
		want = nil
	}
	if !slices.Equal(statuses, want) {
		t.Errorf("%s: answered %v, want %v", v.name, statuses, want)
	}
}
