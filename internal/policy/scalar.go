package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// text is a value of the file with the place it came from. The zero value is
// not given.
type text struct {
	value string
	given bool
	at    place
	style token.Type
	lines []string // of the file
}

// scalar reads text. ok is false for everything else, of which kind says what it is.
func (r *reader) scalar(n ast.Node) (t text, kind string, ok bool) {
	t = text{given: true, at: placeOf(n), lines: r.lines}
	switch s := n.(type) {
	case *ast.StringNode:
		t.value, t.style = s.Value, s.Token.Type
		return t, "", true
	case *ast.LiteralNode:
		t.value, t.style = strings.TrimRight(s.Value.Value, "\n"), s.Start.Type
		return t, "", true
	case *ast.NullNode, nil:
		return t, "empty", false
	case *ast.BoolNode:
		t.value = s.Token.Value
		return t, "true or false", false
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		t.value = n.GetToken().Value
		return t, "a number", false
	case *ast.SequenceNode:
		return t, "a list", false
	}
	return t, "a mapping", false
}

// where returns the place in the file of the character at offset in value:
// characters that are no white space come in the same order in both, whatever
// the style of the text.
func (t *text) where(offset int) place {
	if !t.given {
		return t.at
	}
	before, behind := 0, 0
	for i, c := range []rune(t.value) {
		switch {
		case unicode.IsSpace(c):
		case i < offset:
			before++
		default:
			behind++
		}
	}
	line, column := t.at.line, t.at.column
	switch t.style {
	case token.LiteralType, token.FoldedType:
		line, column = line+1, 1
	case token.SingleQuoteType, token.DoubleQuoteType:
		column++
	}
	last := place{line, column}
	for ; line <= len(t.lines); line, column = line+1, 1 {
		runes := []rune(t.lines[line-1])
		for column <= len(runes) {
			width, visible := t.sign(runes[column-1:])
			if visible {
				last = place{line, column}
				if before == 0 {
					return last
				}
				before--
				last.column += width
			}
			column += width
		}
		if before == 0 && behind == 0 { // the end of the text
			break
		}
	}
	return last
}

// sign tells how many characters of the file stand for the next one of the
// value, and whether that is one that shows.
//
// SPEC: YAML 1.2.2 §5.7, escaped characters.
func (t *text) sign(rest []rune) (width int, visible bool) {
	switch {
	case t.style == token.SingleQuoteType && rest[0] == '\'' && len(rest) > 1 && rest[1] == '\'':
		return 2, true
	case t.style != token.DoubleQuoteType || rest[0] != '\\' || len(rest) == 1:
		return 1, !unicode.IsSpace(rest[0]) && !(t.style == token.DoubleQuoteType && rest[0] == '\\')
	}
	switch rest[1] {
	case 'n', 't', 'r', 'v', 'f', ' ', '\t', '_', 'N', 'L', 'P':
		return 2, false
	case 'x':
		return 4, true
	case 'u':
		return 6, true
	case 'U':
		return 10, true
	}
	return 2, true
}

// placeAt is where for a position as CEL counts: lines from 1, columns from 0.
func (t *text) placeAt(line, column int) place {
	offset := 0
	for i, l := range strings.Split(t.value, "\n") {
		if i+1 == line {
			break
		}
		offset += utf8.RuneCountInString(l) + 1
	}
	return t.where(offset + max(0, column))
}
