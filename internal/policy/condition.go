package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"stagedoor"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// compiled is a condition that passed its checks. The zero value holds for
// nobody. Safe for concurrent use.
type compiled struct {
	key      string // of the rule, such as publish or sources.camera
	text     string
	program  cel.Program // nil: constant
	constant bool
	reads    reads
	// either: it is a || b, of which neither side held where it cannot be evaluated.
	either bool
	// inside is the condition for those who are in the room already; nil: the same.
	inside *compiled
}

// reads is what a condition looks at.
type reads struct {
	// claims are the top-level claims it can read; all: it can read any.
	claims []string
	all    bool
	// features are those it asks for by name.
	features []stagedoor.Feature
	// now and ip: it reads these.
	now, ip bool
}

// known reports whether what is read was kept of the token: an absent claim
// that was not kept may have been there.
func (r *reads) known(kept []string) bool {
	if kept == nil {
		return true
	}
	return !r.all && !slices.ContainsFunc(r.claims, func(name string) bool { return !slices.Contains(kept, name) })
}

var errClaimsNotKept = errors.New("it reads a claim that was not kept when the token came; the next join tells")

var errNotBool = errors.New("the condition gave something other than true or false")

// holds evaluates the condition. Any error is to be taken as a refusal.
func (c *compiled) holds(f *facts) (bool, error) {
	holds, err := c.evaluate(f)
	if f.seen != nil {
		f.seen(c, holds, err)
	}
	return holds, err
}

func (c *compiled) evaluate(f *facts) (bool, error) {
	if !c.reads.known(f.situation.Principal.ClaimNames) {
		return false, errClaimsNotKept
	}
	if c.inside != nil && f.situation.ClientIP == "" {
		c = c.inside
	}
	if c.program == nil {
		return c.constant, nil
	}
	value, err := f.evaluate(c.program)
	if err != nil {
		return false, err
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(holds), nil
}

// compiler compiles the conditions of one rule.
type compiler struct {
	*reader
	dialect  *dialect
	segments []string
	path     string
}

// compile checks one condition and reports everything wrong with it; the
// result of a faulty one holds for nobody.
func (c *compiler) compile(key string, cond condition, join bool) compiled {
	path := under(c.path, key)
	env, err := c.dialect.env(c.segments, join)
	if err != nil {
		c.add(cond.at, path, "cannot be compiled: "+err.Error(), "")
		return compiled{}
	}
	parsed, issues := env.Parse(cond.value)
	if issues.Err() != nil {
		c.issues(path, cond, issues, nil, join)
		return compiled{}
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		c.issues(path, cond, issues, parsed.NativeRep(), join)
		return compiled{}
	}
	if t := checked.OutputType(); !t.IsExactType(types.BoolType) {
		c.notBool(path, cond, t)
		return compiled{}
	}
	if id, found := largeLiteral(checked.NativeRep().Expr()); found {
		at := checked.NativeRep().SourceInfo().GetStartLocation(id)
		c.add(cond.placeAt(at.Line(), at.Column()), path, inexactDouble, "")
		return compiled{}
	}
	result := compiled{key: key, text: cond.value, reads: readsOf(checked.NativeRep().Expr())}
	if tree := checked.NativeRep().Expr(); tree.Kind() == ast.CallKind {
		result.either = tree.AsCall().FunctionName() == operators.LogicalOr
	}
	result.program, result.constant, err = plan(env, checked)
	if err == nil && result.reads.ip {
		result.inside, err = inside(env, cond.value)
	}
	if err != nil {
		c.add(cond.at, path, "cannot be compiled: "+err.Error(), "")
		return compiled{}
	}
	return result
}

// plan makes a program of what is checked, or a constant.
func plan(env *cel.Env, checked *cel.Ast) (cel.Program, bool, error) {
	if tree := checked.NativeRep().Expr(); tree.Kind() == ast.LiteralKind {
		value, _ := tree.AsLiteral().(types.Bool)
		return nil, bool(value), nil
	}
	program, err := env.Program(checked, programOptions()...)
	return program, false, err
}

// notBool reports a condition of another type.
func (c *compiler) notBool(path string, cond condition, t *types.Type) {
	if t.Kind() == types.DynKind {
		c.add(cond.where(0), path, "may be anything, not only true or false", "compare it: "+cond.value+" == true")
		return
	}
	c.add(cond.where(0), path, "is of type "+typeName(t.String())+"; a condition is true or false", "")
}

// issues reports what CEL found; tree is nil where it could not be parsed.
func (c *compiler) issues(path string, cond condition, issues *cel.Issues, tree *ast.AST, join bool) {
	var paths map[int64]dotted
	if tree != nil {
		paths = pathsOf(tree.Expr())
	}
	for _, issue := range issues.Errors() {
		at := cond.placeAt(issue.Location.Line(), issue.Location.Column())
		name, undeclared := undeclaredName(issue.Message)
		whole, variable := paths[issue.ExprID]
		switch {
		case tree == nil:
			what, remedy := syntaxHint(cond.value, issue.Message)
			c.add(at, path, what, remedy)
		case !undeclared:
			c.add(at, path, readable(issue.Message), typeHint(issue.Message))
		case !variable:
			c.add(at, path, "there is no function '"+name+"'", suggest(name, functionNames()))
		default:
			begin := tree.SourceInfo().GetStartLocation(whole.begins)
			at = cond.placeAt(begin.Line(), begin.Column())
			if remedy := hyphenated(cond.value, whole.name); remedy != "" {
				c.add(at, path, "undeclared reference to '"+whole.name+"'", remedy)
				continue
			}
			c.undeclared(at, path, whole.name, join)
		}
	}
}

// undeclared reports a variable that is none, by its whole dotted name.
func (c *compiler) undeclared(at place, path, name string, join bool) {
	known := variables()
	for _, segment := range c.segments {
		known = append(known, roomDot+segment)
	}
	if join {
		known = append(known, varIP)
	}
	parts := strings.Split(name, ".")
	if two := strings.Join(parts[:min(2, len(parts))], "."); two == varIP {
		c.add(at, path, "request.ip is known in join alone", "those who are in the room already make no request")
		return
	} else if slices.Contains([]string{"room", "principal", "request"}, parts[0]) {
		name = two
	} else {
		name = parts[0]
	}
	c.add(at, path, "undeclared reference to '"+name+"'", instead(name, known))
}

// instead says what to write for a variable that is none.
func instead(name string, known []string) string {
	if meant := suggest(name, append([]string{"principal", "room"}, known...)); meant != "" && name != "room" && name != "principal" {
		return meant
	}
	switch name {
	case "yes", "on":
		return "write \"true\" for yes"
	case "no", "off":
		return "write \"false\" for no"
	}
	var parts []string
	for _, whole := range known {
		if strings.HasPrefix(whole, name+".") {
			parts = append(parts, whole)
		}
	}
	if parts == nil {
		return "did you mean claims." + name + ", or the text '" + name + "'?"
	}
	return "known are " + strings.Join(parts, ", ")
}

// undeclaredName picks the name out of CEL's message.
func undeclaredName(message string) (string, bool) {
	rest, ok := strings.CutPrefix(message, "undeclared reference to '")
	name, _, _ := strings.Cut(rest, "'")
	return name, ok
}

// dotted is a name with the id of the identifier that it begins with.
type dotted struct {
	name   string
	begins int64
}

// pathsOf maps the ids of identifiers, and of what is selected from them, to
// the longest dotted name that they are part of.
func pathsOf(tree ast.Expr) map[int64]dotted {
	paths := map[int64]dotted{}
	var walk func(e ast.Expr, behind string)
	walk = func(e ast.Expr, behind string) {
		switch e.Kind() {
		case ast.IdentKind:
			paths[e.ID()] = dotted{strings.TrimPrefix(e.AsIdent(), ".") + behind, e.ID()}
		case ast.SelectKind:
			s := e.AsSelect()
			walk(s.Operand(), "."+s.FieldName()+behind)
			if inner, ok := paths[s.Operand().ID()]; ok {
				paths[e.ID()] = inner
			}
		default:
			children(e, func(child ast.Expr) { walk(child, "") })
		}
	}
	walk(tree, "")
	return paths
}

// children visits what an expression is made of.
func children(e ast.Expr, visit func(ast.Expr)) {
	switch e.Kind() {
	case ast.SelectKind:
		visit(e.AsSelect().Operand())
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			visit(e.AsCall().Target())
		}
		for _, arg := range e.AsCall().Args() {
			visit(arg)
		}
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			visit(element)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			visit(entry.AsMapEntry().Key())
			visit(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			visit(field.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		for _, inner := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			visit(inner)
		}
	}
}

// readsOf finds what an expression looks at. A variable of a comprehension
// that is called claims counts as the claims: more is kept, never less.
func readsOf(tree ast.Expr) reads {
	var r reads
	var walk func(e ast.Expr)
	walk = func(e ast.Expr) {
		if name, ok := claimOf(e); ok {
			if !slices.Contains(r.claims, name) {
				r.claims = append(r.claims, name)
			}
			return
		}
		if e.Kind() == ast.IdentKind {
			switch strings.TrimPrefix(e.AsIdent(), ".") {
			case varClaims:
				r.all = true
			case varNow:
				r.now = true
			case varIP:
				r.ip = true
			}
		}
		if feature, ok := featureOf(e); ok && !slices.Contains(r.features, feature) {
			r.features = append(r.features, feature)
		}
		children(e, walk)
	}
	walk(tree)
	return r
}

// claimOf recognizes claims.x, has(claims.x), claims['x'] and 'x' in claims.
func claimOf(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.SelectKind:
		return e.AsSelect().FieldName(), isIdent(e.AsSelect().Operand(), varClaims)
	case ast.CallKind:
		args := e.AsCall().Args()
		if len(args) != 2 {
			return "", false
		}
		switch e.AsCall().FunctionName() {
		case operators.Index:
			name, ok := literalString(args[1])
			return name, ok && isIdent(args[0], varClaims)
		case operators.In:
			name, ok := literalString(args[0])
			return name, ok && isIdent(args[1], varClaims)
		}
	}
	return "", false
}

// featureOf recognizes 'x' in features.
func featureOf(e ast.Expr) (stagedoor.Feature, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.In || len(e.AsCall().Args()) != 2 {
		return "", false
	}
	name, ok := literalString(e.AsCall().Args()[0])
	return stagedoor.Feature(name), ok && isIdent(e.AsCall().Args()[1], varFeatures)
}

func isIdent(e ast.Expr, name string) bool {
	return e.Kind() == ast.IdentKind && strings.TrimPrefix(e.AsIdent(), ".") == name
}

// literal writes a text as CEL does.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// asksFor is the condition that a feature is there.
func asksFor(feature stagedoor.Feature) string {
	return fmt.Sprintf("%s in features", literal(string(feature)))
}
