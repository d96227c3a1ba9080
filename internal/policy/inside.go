package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// inside compiles a join condition for those who are in the room already, and
// whose address nobody knows: whatever it asks of request.ip held when they
// came in and is taken to hold still, everything else is asked again. text was
// checked.
func inside(env *cel.Env, text string) (*compiled, error) {
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	suppose(checked.NativeRep().Expr(), true)
	program, constant, err := plan(env, checked)
	return &compiled{program: program, constant: constant}, err
}

// suppose puts value in place of every part of a condition that reads
// request.ip: true, or false where it is negated, so that the whole holds
// wherever it could with some address.
func suppose(e ast.Expr, value bool) {
	if !readsOf(e).ip {
		return
	}
	if e.Kind() == ast.CallKind {
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			for _, arg := range args {
				suppose(arg, value)
			}
			return
		case operators.LogicalNot:
			suppose(args[0], !value)
			return
		case operators.Conditional:
			if !readsOf(args[0]).ip {
				suppose(args[1], value)
				suppose(args[2], value)
				return
			}
		}
	}
	e.SetKindCase(ast.NewExprFactory().NewLiteral(e.ID(), types.Bool(value)))
}
