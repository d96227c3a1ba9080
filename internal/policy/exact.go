package policy

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// maxDouble bounds every double. CEL compares an int with a double by rounding
// the int to a double. That is exact as long as no double reaches this bound:
// larger ints are rounded to it or beyond, and then equal no double.
const maxDouble = 1 << 53

const (
	inexactClaim  = "a number in the claims is too large to be exact"
	inexactDouble = "a number with a fraction must be smaller than 9007199254740992; write larger ones as whole numbers"
	fractionLost  = "int and uint take no number with a fraction"
)

// tooLarge reports a double that may stand for several integers, and infinity
// and NaN.
func tooLarge(d float64) bool { return !(math.Abs(d) < maxDouble) }

// inexact is a number that Claims hold as json.Number. Within a list or object
// it equals nothing; exact makes an error of it wherever it is read by itself.
type inexact struct{}

var inexactType = types.NewOpaqueType("inexact")

// Equal is false, for CEL: an error would count as equal within a list.
func (inexact) Equal(ref.Val) ref.Val { return types.False }

// ConvertToType fails, for CEL.
func (inexact) ConvertToType(ref.Type) ref.Val { return types.NewErr(inexactClaim) }

// ConvertToNative fails, for CEL.
func (inexact) ConvertToNative(reflect.Type) (any, error) { return nil, errors.New(inexactClaim) }

// Type returns a type of its own, for CEL.
func (inexact) Type() ref.Type { return inexactType }

// Value returns nil, for CEL.
func (inexact) Value() any { return nil }

// adapter gives claims to CEL.
type adapter struct{}

// NativeToValue converts one value, for CEL.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case json.Number:
		return inexact{}
	case float64:
		if tooLarge(v) {
			return inexact{}
		}
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

// exact keeps every calculation of numbers exact or makes it an error: no
// inexact number is read, int and uint refuse a fraction instead of cutting it
// off, and no conversion or arithmetic gives a double that is too large.
func exact(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	if attribute, ok := i.(interpreter.InterpretableAttribute); ok {
		if _, wrapped := attribute.(exactAttribute); wrapped {
			return i, nil
		}
		return exactAttribute{attribute}, nil
	}
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	switch call.Function() {
	case overloads.TypeConvertInt:
		return converted(call, types.IntType), nil
	case overloads.TypeConvertUint:
		return converted(call, types.UintType), nil
	case overloads.TypeConvertDouble, operators.Add, operators.Subtract, operators.Multiply, operators.Divide:
		return exactCall{call}, nil
	}
	return i, nil
}

// converted is int or uint of a whole number.
func converted(call interpreter.InterpretableCall, to ref.Type) interpreter.InterpretableV2 {
	convert := func(values ...ref.Val) ref.Val {
		if d, ok := values[0].(types.Double); ok && float64(d) != math.Trunc(float64(d)) {
			return types.NewErr(fractionLost)
		}
		return values[0].ConvertToType(to)
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), convert)
}

// exactAttribute is a variable, or what is selected from one.
type exactAttribute struct {
	interpreter.InterpretableAttribute
}

// Exec reads the value, for CEL.
func (a exactAttribute) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := a.InterpretableAttribute.Exec(frame)
	if _, bad := value.(inexact); bad {
		return types.NewErr(inexactClaim)
	}
	return value
}

// exactCall is a call whose result is an error where it is a double that is
// too large.
type exactCall struct{ interpreter.InterpretableCall }

// Exec evaluates the call, for CEL.
func (c exactCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := c.InterpretableCall.Exec(frame)
	if d, ok := value.(types.Double); ok && tooLarge(float64(d)) {
		return types.NewErr(inexactDouble)
	}
	return value
}

// largeLiteral returns the id of a literal in the expression that is a double
// too large to be exact.
func largeLiteral(tree ast.Expr) (id int64, found bool) {
	if tree.Kind() == ast.LiteralKind {
		d, ok := tree.AsLiteral().(types.Double)
		return tree.ID(), ok && tooLarge(float64(d))
	}
	children(tree, func(child ast.Expr) {
		if !found {
			id, found = largeLiteral(child)
		}
	})
	return id, found
}
