package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file, far beyond what rules need. The parser's time grows with
// the square of the depth and of the keys in a row, and so may its stack.
const (
	maxBytes  = 1 << 20
	maxDepth  = 32
	maxKeyRun = 1000
)

// tree reads the file as one YAML document, within the bounds above and
// without anchors, aliases, tags, merges and directives, which can make a
// small file mean something large or something else. nil: see the report.
func (r *reader) tree(data []byte) ast.Node {
	if len(data) > maxBytes {
		r.add(place{}, "", "is larger than 1 MiB", "")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	r.lines = strings.Split(text, "\n")
	for i, line := range r.lines {
		if !utf8.ValidString(line) {
			r.add(place{i + 1, 1}, "", "is not UTF-8 text", "")
			return nil
		}
		if at := strings.IndexFunc(line, unreadable); at >= 0 {
			r.add(place{i + 1, 1 + utf8.RuneCountInString(line[:at])}, "", "has a control character", "remove it")
			return nil
		}
	}
	tokens, ok := r.tokens(text)
	if !ok {
		return nil
	}
	file, err := parseTokens(tokens)
	if err != nil {
		r.syntax(err)
		return nil
	}
	return r.document(file)
}

// unreadable reports characters that YAML files have no use for.
func unreadable(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f || c == '\r' }

// tokens cuts the text up and checks the bounds before anything recurses.
func (r *reader) tokens(text string) (tokens token.Tokens, ok bool) {
	defer func() {
		if recover() != nil { // a fault of the library's is a fault of the file's, and stops nothing
			r.add(place{}, "", "cannot be read as YAML", "")
			ok = false
		}
	}()
	tokens = lexer.Tokenize(text)
	ok = true
	var open depth
	for _, t := range tokens {
		at := place{t.Position.Line, t.Position.Column}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.DirectiveType:
			r.add(at, "", "anchors (&), aliases (*), tags (!), merges (<<) and directives (%) have no place in a policy file",
				"write it out; a text that begins with one of these signs stands in quotes")
			ok = false
		case token.MappingKeyType:
			r.add(at, "", "a key is written as key: value, without '?'", "")
			ok = false
		default:
			if what := open.see(t); what != "" {
				r.add(at, "", what, "")
				return nil, false
			}
		}
	}
	return tokens, ok
}

// depth follows how deep the tokens go, never less than the parser will.
type depth struct {
	flow    int
	columns []int // of block entries and keys that are open
	run     int   // keys since the last list entry
}

// see takes one token in and says what is too much.
func (d *depth) see(t *token.Token) string {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		d.flow++
	case token.SequenceEndType, token.MappingEndType:
		d.flow--
	case token.SequenceEntryType:
		d.run = 0
		d.open(t.Position.Column)
	case token.MappingValueType:
		if d.flow > 0 {
			break
		}
		if d.run++; d.run > maxKeyRun {
			return fmt.Sprintf("has more than %d keys in a row", maxKeyRun)
		}
		column := t.Position.Column
		if t.Prev != nil {
			column = t.Prev.Position.Column
		}
		d.open(column)
	}
	if d.flow+len(d.columns) > maxDepth {
		return fmt.Sprintf("is nested deeper than %d levels", maxDepth)
	}
	return ""
}

// open notes a block entry or key at a column, which ends those to its right.
func (d *depth) open(column int) {
	for len(d.columns) > 0 && d.columns[len(d.columns)-1] >= column {
		d.columns = d.columns[:len(d.columns)-1]
	}
	d.columns = append(d.columns, column)
}

var errUnreadable = errors.New("cannot be read as YAML")

// parseTokens is the library's parser, whose panics are errors too.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			err = errUnreadable
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// syntax reports what the YAML parser could not read.
func (r *reader) syntax(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil {
		r.add(place{}, "", "cannot be read as YAML", "")
		return
	}
	at := place{line: syntax.Token.Position.Line, column: max(1, syntax.Token.Position.Column)}
	r.add(at, "", "is not YAML: "+syntax.Message, r.syntaxRemedy(at.line))
}

// syntaxRemedy says what to do about a line that the parser rejects. It looks at
// the line only, because the parser's messages change between versions.
func (r *reader) syntaxRemedy(number int) string {
	line := ""
	if number >= 1 && number <= len(r.lines) {
		line = r.lines[number-1]
	}
	_, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	begins := func(signs string) bool { return value != "" && strings.ContainsRune(signs, rune(value[0])) }
	quoted := begins(`"'`) && strings.HasSuffix(value, value[:1]) && strings.Count(value, value[:1]) == 2
	switch {
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		return "indent with spaces, not tabs"
	case !quoted && (begins(`"'{`) || strings.Contains(value, ": ")):
		return `put the whole value in double quotes, and use single quotes in it: publish: "'publish' in features"`
	}
	return "check the indentation and the quotes of this line and of those before it"
}

// document returns the one document's body.
func (r *reader) document(file *ast.File) ast.Node {
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			r.add(placeOf(doc.Body), "", "is a second document", "keep one; every rule stands under rooms:")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		r.add(place{}, "", "is empty", "a policy file has rules under rooms:; docs/policy.md explains them")
	}
	return body
}

// placeOf is where a node begins.
func placeOf(n ast.Node) place {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return place{}
	}
	t := n.GetToken()
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return placeOf(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return placeOf(m.Key)
	}
	return place{t.Position.Line, max(1, t.Position.Column)}
}

// entries returns the pairs of a mapping, which the parser has in two forms.
func entries(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}
