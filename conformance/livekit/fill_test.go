package livekit

import (
	"math/rand/v2"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// fill sets about three of four fields of a message, and of those in it down
// to depth, at random: enums to numbers that nobody knows yet, too.
func fill(m protoreflect.Message, random *rand.Rand, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		composite := field.Message() != nil
		if random.IntN(4) == 0 || composite && depth == 0 || wellKnown(field) {
			continue
		}
		switch {
		case field.IsMap():
			entries := m.Mutable(field).Map()
			entry := entries.NewValue()
			if field.MapValue().Message() == nil {
				entry = scalar(field.MapValue(), random)
			} else {
				fill(entry.Message(), random, depth-1)
			}
			entries.Set(scalar(field.MapKey(), random).MapKey(), entry)
		case field.IsList():
			list := m.Mutable(field).List()
			for range random.IntN(3) {
				if composite {
					fill(list.AppendMutable().Message(), random, depth-1)
				} else {
					list.Append(scalar(field, random))
				}
			}
		case composite:
			fill(m.Mutable(field).Message(), random, depth-1)
		default:
			m.Set(field, scalar(field, random))
		}
	}
}

// wellKnown reports types whose JSON has a range of its own, such as times.
func wellKnown(field protoreflect.FieldDescriptor) bool {
	message := field.Message()
	if field.IsMap() {
		message = field.MapValue().Message()
	}
	return message != nil && message.FullName().Parent() == "google.protobuf"
}

func scalar(field protoreflect.FieldDescriptor, random *rand.Rand) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(random.IntN(2) == 0)
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		if random.IntN(6) == 0 {
			return protoreflect.ValueOfEnum(90 + protoreflect.EnumNumber(random.IntN(9)))
		}
		return protoreflect.ValueOfEnum(values.Get(random.IntN(values.Len())).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(random.Int32())
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(random.Uint32())
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(random.Int64N(1 << 50))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(random.Uint64())
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(random.Float32())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(random.NormFloat64())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(names()[random.IntN(len(names()))]))
	default:
		return protoreflect.ValueOfString(names()[random.IntN(len(names()))] + string(places()[random.IntN(len(places()))].room))
	}
}
