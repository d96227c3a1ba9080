package policy

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	// A time zone that a rule names must mean the same wherever the door runs.
	_ "time/tzdata"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Names that no condition can write itself.
const (
	matchesFunction = "@matches"
	zoneFunction    = "@zone"
)

// macros rewrite what takes a regular expression or a time zone.
func (d *dialect) macros() []cel.Macro {
	macros := []cel.Macro{
		cel.ReceiverMacro("matches", 1, func(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return matches(f, target, args[0])
		}),
		cel.GlobalMacro("matches", 2, func(f cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return matches(f, args[0], args[1])
		}),
	}
	for _, name := range []string{"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
		"getHours", "getMinutes", "getSeconds", "getMilliseconds"} {
		macros = append(macros, cel.ReceiverMacro(name, 1, func(f cel.MacroExprFactory, target ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			zone, ok := literalString(args[0])
			if !ok {
				return nil, f.NewError(args[0].ID(), "the time zone must be a text in quotes")
			}
			location, err := parseZone(zone)
			if err != nil {
				return nil, f.NewError(args[0].ID(), err.Error())
			}
			d.zones[zone] = location
			return f.NewMemberCall(name, f.NewCall(zoneFunction, target, args[0])), nil
		}))
	}
	return macros
}

// matches checks a regular expression and has it compiled once.
func matches(f cel.MacroExprFactory, target, pattern ast.Expr) (ast.Expr, *common.Error) {
	text, ok := literalString(pattern)
	if !ok {
		return nil, f.NewError(pattern.ID(), "the regular expression of matches must be a text in quotes: one that a caller chose could be costly")
	}
	if size, err := regexSize(text); err != nil {
		return nil, f.NewError(pattern.ID(), "the regular expression cannot be read: "+err.Error())
	} else if size > maxRegexSize {
		return nil, f.NewError(pattern.ID(), "the regular expression is too large: at most "+strconv.Itoa(maxRegexSize)+" instructions, and it compiles to "+strconv.Itoa(size))
	}
	return f.NewCall(matchesFunction, target, pattern), nil
}

// literalString returns a literal's value.
func literalString(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	value, ok := e.AsLiteral().(types.String)
	return string(value), ok
}

// parseZone reads the name of a time zone, or an offset such as +02:00.
func parseZone(name string) (*time.Location, error) {
	if at, err := time.Parse("-07:00", name); err == nil {
		return at.Location(), nil
	}
	location, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, errors.New("there is no time zone '" + name + "'; one is written as 'Europe/Berlin', 'UTC' or '+02:00'")
	}
	return location, nil
}

// functions declares what the dialect has beyond CEL's standard library.
func (d *dialect) functions() cel.EnvOption {
	return func(e *cel.Env) (*cel.Env, error) {
		for _, option := range []cel.EnvOption{
			cel.Function(matchesFunction, cel.Overload("stagedoor_matches", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType,
				cel.BinaryBinding(func(_, _ ref.Val) ref.Val { return types.NewErr("the regular expression is not literal") }))),
			cel.Function(zoneFunction, cel.Overload("stagedoor_zone", []*cel.Type{cel.TimestampType, cel.StringType}, cel.TimestampType,
				cel.BinaryBinding(d.shift))),
			cel.Function("split", cel.MemberOverload("stagedoor_split", []*cel.Type{cel.StringType, cel.StringType}, cel.ListType(cel.StringType),
				cel.BinaryBinding(split))),
			cel.Function("lowerAscii", cel.MemberOverload("stagedoor_lower_ascii", []*cel.Type{cel.StringType}, cel.StringType,
				cel.UnaryBinding(lowerASCII))),
		} {
			var err error
			if e, err = option(e); err != nil {
				return nil, err
			}
		}
		return e, nil
	}
}

// shift moves a moment so that its UTC reading is that of the zone's clocks.
func (d *dialect) shift(at, zone ref.Val) ref.Val {
	moment, ok := at.(types.Timestamp)
	name, named := zone.(types.String)
	location := d.zones[string(name)]
	if !ok || !named || location == nil {
		return types.NewErr("no such time zone")
	}
	_, offset := moment.In(location).Zone()
	return types.Timestamp{Time: moment.UTC().Add(time.Duration(offset) * time.Second)}
}

// split cuts a text, into no more pieces than a claim may have.
func split(value, separator ref.Val) ref.Val {
	text, ok := value.(types.String)
	by, isText := separator.(types.String)
	if !ok || !isText {
		return types.NoSuchOverloadErr()
	}
	if strings.Count(string(text), string(by)) >= maxClaimNodes {
		return types.NewErr("split gives more than %d pieces", maxClaimNodes)
	}
	return types.NewStringList(types.DefaultTypeAdapter, strings.Split(string(text), string(by)))
}

// lowerASCII makes A to Z small and leaves everything else alone.
func lowerASCII(value ref.Val) ref.Val {
	text, ok := value.(types.String)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	return types.String(strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, string(text)))
}

// regexSize is how many instructions a regular expression compiles to.
func regexSize(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// prepared compiles each regular expression once, and refuses a text on which
// it could take long: its time grows with both lengths multiplied.
func prepared() *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{Function: matchesFunction, RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
			compiled, err := regexp.Compile(pattern)
			if err != nil {
				return nil, err
			}
			size, err := regexSize(pattern)
			if err != nil {
				return nil, err
			}
			return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(values ...ref.Val) ref.Val {
				if len(values) != 2 {
					return types.NoSuchOverloadErr()
				}
				text, ok := values[0].(types.String)
				if !ok {
					return types.NoSuchOverloadErr()
				}
				if len(text)*size > maxRegexWork {
					return types.NewErr("the text is too long for its regular expression")
				}
				return types.Bool(compiled.MatchString(string(text)))
			}), nil
		}}
}
