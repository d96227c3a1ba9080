package policy

import (
	"errors"
	"slices"

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
	if err := suppose(checked.NativeRep().Expr(), true); err != nil {
		return nil, err
	}
	program, constant, err := plan(env, checked)
	return &compiled{program: program, constant: constant}, err
}

var errMixed = errors.New("asks for request.ip and for something that may change within one comparison; write the two with && or || between them")

// suppose puts value in place of every part of a condition that reads
// request.ip: true, or false where it is negated, so that the whole holds
// wherever it could with some address. What stands beside such a part is
// asked again; an error where the two cannot be told apart.
func suppose(e ast.Expr, value bool) error {
	if !readsOf(e).ip {
		return nil
	}
	if e.Kind() == ast.CallKind {
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			return errors.Join(suppose(args[0], value), suppose(args[1], value))
		case operators.LogicalNot:
			return suppose(args[0], !value)
		case operators.Conditional:
			return supposeChoice(e, args, value)
		}
	}
	if readsOf(e).changes() && logical(e) {
		return errMixed
	}
	e.SetKindCase(ast.NewExprFactory().NewLiteral(e.ID(), types.Bool(value)))
	return nil
}

// supposeChoice is suppose of a ? b : c. Where the address chooses, either
// side may have let them in: a || of both where true is supposed, else &&.
func supposeChoice(e ast.Expr, args []ast.Expr, value bool) error {
	if !readsOf(args[0]).ip {
		return errors.Join(suppose(args[1], value), suppose(args[2], value))
	}
	if readsOf(args[0]).changes() {
		return errMixed
	}
	if err := errors.Join(suppose(args[1], value), suppose(args[2], value)); err != nil {
		return err
	}
	either := operators.LogicalOr
	if !value {
		either = operators.LogicalAnd
	}
	e.SetKindCase(ast.NewExprFactory().NewCall(e.ID(), either, args[1], args[2]))
	return nil
}

// changes reports whether what is read may change while somebody is in the room.
func (r reads) changes() bool {
	return r.all || r.now || len(r.claims)+len(r.features) > 0
}

// logical reports whether an expression holds a condition within, beside the
// and and or by which exists and all are made.
func logical(e ast.Expr) bool {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
			return true
		}
		return call.IsMemberFunction() && logical(call.Target()) || slices.ContainsFunc(call.Args(), logical)
	case ast.ListKind:
		return slices.ContainsFunc(e.AsList().Elements(), logical)
	case ast.SelectKind:
		return logical(e.AsSelect().Operand())
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		step := c.LoopStep()
		if step.Kind() != ast.CallKind {
			return true
		}
		switch step.AsCall().FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			return logical(c.IterRange()) || slices.ContainsFunc(step.AsCall().Args(), logical)
		}
		return true
	case ast.MapKind, ast.StructKind:
		return true
	}
	return false
}
