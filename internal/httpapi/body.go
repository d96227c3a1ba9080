package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"stagedoor/internal/inflight"

	"github.com/go-json-experiment/json/jsontext"

	"stagedoor"
)

// maxBodyBytes is the largest body of a join or token request.
const maxBodyBytes = 16 << 10

// readBody returns the body of a JSON request. Errors: UnsupportedMediaType,
// BodyTooLarge, InvalidJSON (the body did not arrive whole).
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if !isJSON(r.Header) {
		return nil, stagedoor.Refuse(stagedoor.UnsupportedMediaType, "send Content-Type: application/json, without a content encoding")
	}
	tooLarge := stagedoor.Refuse(stagedoor.BodyTooLarge, "the body may have at most 16 KiB")
	if r.ContentLength > maxBodyBytes {
		// What is not read is not waited for: the connection ends with the answer.
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	recordOf(r.Context()).bodyRead = true
	resume := inflight.Yield(r.Context())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	resume()
	if err != nil {
		var exceeded *http.MaxBytesError
		if errors.As(err, &exceeded) {
			return nil, tooLarge
		}
		return nil, &stagedoor.Error{Kind: stagedoor.InvalidJSON, Detail: "the body did not arrive whole", Err: reasonOf(err)}
	}
	return body, nil
}

// reasonOf names why a body broke off. The error itself may quote what was
// sent: a malformed trailer can hold a credential.
func reasonOf(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("too slow")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("cut short")
	}
	return errors.New("malformed")
}

// isJSON reports whether the headers promise plain JSON in UTF-8. Some client
// SDKs send the type twice, as two headers or joined by a comma.
func isJSON(header http.Header) bool {
	for _, encoding := range header.Values("Content-Encoding") {
		if !strings.EqualFold(encoding, "identity") {
			return false
		}
	}
	sent := strings.Join(header.Values("Content-Type"), ",")
	for one := range strings.SplitSeq(sent, ",") {
		media, params, err := mime.ParseMediaType(one)
		if err != nil || media != "application/json" {
			return false
		}
		if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			return false
		}
	}
	return true
}

var errNotObject = stagedoor.Refuse(stagedoor.InvalidJSON, "the body must be one JSON object without duplicate keys, in valid UTF-8")

// readObject walks the members of the one JSON object in body, in their order.
// field gets each name before its value is looked at, so that the first
// mistake in the document's order is the one that is named. Errors: what
// field returns, else InvalidJSON for duplicate names, invalid UTF-8, lone
// surrogates, trailing bytes and anything that is not an object.
//
// SPEC: RFC 8259 §4, §8.1, §8.2; RFC 7493 §2.
func readObject(body []byte, field func(name string, value func() (jsontext.Value, error)) error) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return stagedoor.Refuse(stagedoor.InvalidJSON, "the body is empty; send one JSON object")
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.ReadToken(); err != nil || start.Kind() != '{' {
		return errNotObject
	}
	value := func() (jsontext.Value, error) {
		raw, err := decoder.ReadValue()
		if err != nil {
			return nil, errNotObject
		}
		return raw, nil
	}
	for decoder.PeekKind() != '}' {
		name, err := decoder.ReadToken()
		if err != nil {
			return errNotObject
		}
		if err := field(name.String(), value); err != nil {
			return err
		}
	}
	if _, err := decoder.ReadToken(); err != nil {
		return errNotObject
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return errNotObject
	}
	return nil
}

// textValue returns a JSON string's text; false for every other type.
func textValue(raw jsontext.Value) (string, bool) {
	if raw.Kind() != '"' {
		return "", false
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err == nil
}
