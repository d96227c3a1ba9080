package policy

import (
	"slices"
	"time"

	"stagedoor"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Bounds of one condition's text. What a caller's claims may cost is bounded
// in budget.go.
const (
	maxConditionChars = 4096
	maxConditionNodes = 2000
	maxConditionDepth = 48
)

// dialect is CEL as policy files have it: its standard library, with regular
// expressions and time zones that are literal, so that they are checked and
// prepared at the start, and two functions more. One is made for each file.
type dialect struct {
	base  *cel.Env
	zones map[string]*time.Location // filled while compiling, only read then
	envs  map[string]*cel.Env       // by the segments that are declared
}

// variables are what every condition can read; room's segments come with the
// rule. Each is declared whole, dots included, so that a misspelt one is
// undeclared.
func variables() []string {
	return []string{varClaims, varFeatures, varNow, varIssuer, varSubject, varIdentity, varName, varRoom}
}

// The names of variables.
const (
	varClaims   = "claims"
	varFeatures = "features"
	varNow      = "now"
	varIssuer   = "principal.issuer"
	varSubject  = "principal.subject"
	varIdentity = "principal.identity"
	varName     = "principal.name"
	varRoom     = "room.name"
	varIP       = "request.ip"
	roomDot     = "room."
)

// newDialect makes the environment that all of a file's conditions share.
func newDialect() (*dialect, error) {
	d := &dialect{zones: map[string]*time.Location{}, envs: map[string]*cel.Env{}}
	base, err := cel.NewEnv(
		cel.Variable(varClaims, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varFeatures, cel.ListType(cel.StringType)),
		cel.Variable(varNow, cel.TimestampType),
		cel.Variable(varIssuer, cel.StringType),
		cel.Variable(varSubject, cel.StringType),
		cel.Variable(varIdentity, cel.StringType),
		cel.Variable(varName, cel.StringType),
		cel.Variable(varRoom, cel.StringType),
		cel.ParserExpressionSizeLimit(maxConditionChars),
		cel.ExpressionNodeLimit(maxConditionNodes),
		cel.ParserRecursionLimit(maxConditionDepth),
		cel.CrossTypeNumericComparisons(true), // a claim's 3 is to be less than 3.5
		cel.CustomTypeAdapter(adapter{}),
		cel.DefaultUTCTimeZone(true),
		cel.Macros(d.macros()...),
		d.functions(),
	)
	d.base = base
	return d, err
}

// env returns the environment with a rule's segments, and with request.ip
// where the condition is asked at a join alone.
func (d *dialect) env(segments []string, join bool) (*cel.Env, error) {
	names := make([]string, 0, len(segments)+1)
	for _, segment := range segments {
		names = append(names, roomDot+segment)
	}
	if join {
		names = append(names, varIP)
	}
	slices.Sort(names)
	key := ""
	options := make([]cel.EnvOption, len(names))
	for i, name := range names {
		key += name + " "
		options[i] = cel.Variable(name, cel.StringType)
	}
	if env, ok := d.envs[key]; ok {
		return env, nil
	}
	env, err := d.base.Extend(options...)
	if err == nil {
		d.envs[key] = env
	}
	return env, err
}

// facts are what conditions read: one situation, with what the room's name
// bound. It is an activation of CEL's, so that nothing is copied into a map.
// Not safe for concurrent use; the zero value knows nothing.
type facts struct {
	situation *stagedoor.Situation
	segments  []string // of the rule
	bound     []string // their values
	features  ref.Val
	identity  ref.Val
	// frame is CEL's, with the budget that all conditions share; made with the
	// first of them. failed: one did not come to its end, and none may after it.
	frame  *interpreter.ExecutionFrame
	budget *cost.Tracker
	failed bool
	// seen is told of every condition that is evaluated; may be nil.
	seen func(c *compiled, holds bool, err error)
}

// ResolveName returns a variable's value, for CEL.
func (f *facts) ResolveName(name string) (any, bool) {
	switch name {
	case varClaims:
		return map[string]any(f.situation.Principal.Claims), true
	case varFeatures:
		return f.paid(), true
	case varNow:
		return types.Timestamp{Time: f.situation.Now}, true
	case varIssuer:
		return types.String(f.situation.Principal.Issuer), true
	case varSubject:
		return types.String(f.situation.Principal.Subject), true
	case varIdentity:
		return f.own(), true
	case varName:
		return types.String(f.situation.Principal.Name), true
	case varRoom:
		return types.String(f.situation.Room), true
	case varIP:
		return types.String(f.situation.ClientIP), true
	}
	for i, segment := range f.segments {
		if len(name) == len(roomDot)+len(segment) && name[:len(roomDot)] == roomDot && name[len(roomDot):] == segment {
			return types.String(f.bound[i]), true
		}
	}
	return nil, false
}

// Parent is nil: there is nothing around the facts. For CEL.
func (f *facts) Parent() cel.Activation { return nil }

// paid is the list of features, made once.
func (f *facts) paid() ref.Val {
	if f.features == nil {
		list := make([]string, len(f.situation.Entitlement.Features))
		for i, feature := range f.situation.Entitlement.Features {
			list[i] = string(feature)
		}
		f.features = types.NewStringList(types.DefaultTypeAdapter, list)
	}
	return f.features
}

// own is the principal's identity in LiveKit, without a device.
func (f *facts) own() ref.Val {
	if f.identity == nil {
		p := f.situation.Principal
		identity := p.Handle
		if p.IdentityPrefix != "" {
			identity = p.IdentityPrefix + ":" + p.Handle
		}
		f.identity = types.String(identity)
	}
	return f.identity
}

// evaluate runs a program within what is left of the budget.
func (f *facts) evaluate(program cel.Program) (ref.Val, error) {
	if f.failed {
		return nil, errFailed
	}
	if f.frame == nil {
		budget, err := f.budget.Clone()
		if err != nil {
			return nil, err
		}
		if f.frame, err = interpreter.NewExecutionFrame(f); err != nil {
			return nil, err
		}
		f.frame.SetCostTracker(budget)
	}
	value, _, err := program.Eval(f.frame)
	if err != nil && !types.IsError(value) { // cut off, not an error of the condition's
		f.failed = true
	}
	return value, err
}

// close gives back what evaluate took.
func (f *facts) close() {
	if f.frame != nil && !f.failed { // a frame that was cut off is not used again
		f.frame.Close()
	}
	f.frame = nil
}
