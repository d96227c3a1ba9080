package policy

import (
	"errors"

	"stagedoor"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// What a caller's claims may cost in one decision: together below 100 µs,
// measured by TestHostileClaimsAreCheap. CEL counts a step as about one unit
// and stops behind the step that went over the limit, so that what one step
// may cost is bounded by the size of what it works on.
const (
	// maxCost is the units for all conditions of a decision together.
	maxCost = 760
	// maxClaimNodes, maxClaimBytes and maxTextBytes bound the claims that a
	// rule reads: their values in all, their text in all, and one text.
	maxClaimNodes = 500
	maxClaimBytes = 16 << 10
	maxTextBytes  = 2 << 10
	// maxCompared bounds the values of a list or object that is compared with another.
	maxCompared = 50
	// maxRegexSize bounds a regular expression's instructions, maxRegexWork
	// those times the bytes of the text.
	maxRegexSize = 500
	maxRegexWork = 8000
)

var (
	errClaimsTooLarge = errors.New("the claims that the rule reads are too large")
	errFailed         = errors.New("a condition before this one cost more than a decision may")
)

// newBudget is what each decision gets a copy of.
func newBudget() (*cost.Tracker, error) {
	return cost.NewTracker(prices{}, cost.TrackerLimit(maxCost))
}

// prices are what calls cost, by what they take: measured, and by the
// function's name, since CEL knows no overload of what a claim may be.
type prices struct{}

// CallCost prices one call, for CEL.
func (prices) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	price := uint64(1)
	switch function {
	case operators.LogicalNot, operators.NotStrictlyFalse: // what every turn of exists and all does beside the condition
		price = 0
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		price += 1 + min(length(args[0]), length(args[1]))/128
		if args[0].Type() == types.DurationType || args[0].Type() == types.TimestampType {
			price += 2
		}
	case operators.Add:
		price += 4 + textLength(result)/128
	case operators.In:
		if _, list := args[1].(traits.Lister); list {
			price += length(args[1]) / 64
		} else {
			price += 2
		}
	case operators.Index, "type":
		price += 2
	case "contains", "startsWith", "endsWith":
		price += 2 + length(args[0])/128
	case overloads.Size:
		price += 2 + textLength(args[0])/64
	case "lowerAscii", overloads.TypeConvertBytes:
		price += 2 + length(args[0])/16
	case overloads.TypeConvertString, overloads.TypeConvertTimestamp, overloads.TypeConvertDuration, overloads.TypeConvertInt,
		overloads.TypeConvertUint, overloads.TypeConvertDouble:
		price += 7 + textLength(args[0])/16
	case "split":
		price += 4 + length(args[0])/16 + length(result)/64
	case zoneFunction:
		price += 5
	case matchesFunction:
		price += 5 + length(args[0])/2
	}
	if types.IsError(result) { // making its text takes time
		price += 10
	}
	return &price
}

// length is the bytes of a text, and 64 for each entry of anything else.
func length(v ref.Val) uint64 {
	if n := textLength(v); n > 0 {
		return n
	}
	if sized, ok := v.(traits.Sizer); ok {
		if n, ok := sized.Size().(types.Int); ok {
			return 64 * uint64(n)
		}
	}
	return 0
}

// textLength is the bytes of a text, and 0 for anything else.
func textLength(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v))
	case types.Bytes:
		return uint64(len(v))
	}
	return 0
}

// programOptions bound and speed up every condition.
func programOptions() []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.CustomDecoratorV2(guard),
		cel.CustomDecoratorV2(exact),
		cel.EvalOptions(cel.OptOptimize),
		cel.OptimizeRegex(prepared()),
	}
}

// guard refuses to compare large lists and objects of a caller's with each
// other: CEL counts that as one step, however deep it goes. With a constant
// nothing deeper than the constant is compared.
func guard(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 {
		return i, nil
	}
	_, left := call.Args()[0].(interpreter.InterpretableConst)
	_, right := call.Args()[1].(interpreter.InterpretableConst)
	switch call.Function() {
	case operators.Equals, operators.NotEquals:
		if left || right {
			return i, nil
		}
	case operators.In:
		if left {
			return i, nil
		}
	default:
		return i, nil
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(sides ...ref.Val) ref.Val {
		if heavy(sides[0]) || call.Function() != operators.In && heavy(sides[1]) {
			return types.NewErr("a list or object of more than %d values is not compared", maxCompared)
		}
		switch call.Function() {
		case operators.Equals:
			return types.Equal(sides[0], sides[1])
		case operators.NotEquals:
			return types.Bool(types.Equal(sides[0], sides[1]) != types.True)
		}
		if container, ok := sides[1].(traits.Container); ok {
			return container.Contains(sides[0])
		}
		return types.NoSuchOverloadErr()
	}), nil
}

// heavy reports a list or object with too many values to compare.
func heavy(v ref.Val) bool {
	sized, ok := v.(traits.Sizer)
	if _, text := v.(types.String); !ok || text {
		return false
	}
	if n, ok := sized.Size().(types.Int); !ok || n > maxCompared {
		return true
	}
	s := scale{nodes: maxCompared, bytes: maxClaimBytes}
	return !s.take(v.Value())
}

// weigh reports whether the claims that a rule reads are small enough to be
// looked at.
func weigh(claims stagedoor.Claims, names []string, all bool) bool {
	scale := scale{nodes: maxClaimNodes, bytes: maxClaimBytes}
	if all {
		return scale.take(map[string]any(claims))
	}
	for _, name := range names {
		if value, ok := claims[name]; ok && !scale.take(value) {
			return false
		}
	}
	return true
}

// scale holds what is left.
type scale struct{ nodes, bytes int }

// take subtracts a value and reports whether there was enough. It stops at
// the bound, and therefore goes no deeper than it either.
func (s *scale) take(value any) bool {
	if s.nodes--; s.nodes < 0 {
		return false
	}
	switch v := value.(type) {
	case string:
		s.bytes -= len(v)
		return s.bytes >= 0 && len(v) <= maxTextBytes
	case []any:
		for _, inner := range v {
			if !s.take(inner) {
				return false
			}
		}
	case []ref.Val: // what a condition made itself
		for _, inner := range v {
			if !s.take(inner.Value()) {
				return false
			}
		}
	case map[string]any:
		for key, inner := range v {
			s.bytes -= len(key)
			if s.bytes < 0 || !s.take(inner) {
				return false
			}
		}
	}
	return true
}
