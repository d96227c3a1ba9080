package scan

// index tells in one pass over many bytes where any of many anchors is. An
// anchor is four bytes; a small table of bits says no to nearly everything else.
type index struct {
	filter [1 << 11]uint64
	ids    map[uint32][]int
}

func newIndex() *index { return &index{ids: map[uint32][]int{}} }

// bit is a place in the filter: 17 bits of the product (Fibonacci hashing).
func bit(word uint32) (at, mask uint64) {
	h := word * 0x9e3779b1 >> 15
	return uint64(h >> 6), 1 << (h & 63)
}

// add has an id found wherever the first four bytes of an anchor are.
func (x *index) add(anchor string, id int) {
	word := uint32(anchor[0])<<24 | uint32(anchor[1])<<16 | uint32(anchor[2])<<8 | uint32(anchor[3])
	at, mask := bit(word)
	x.filter[at] |= mask
	x.ids[word] = append(x.ids[word], id)
}

// each calls found for every anchor that begins in buf[low:high], in order.
func (x *index) each(buf []byte, low, high int, found func(at, id int)) {
	word := uint32(0)
	for i, b := range buf[low:min(high+3, len(buf))] {
		word = word<<8 | uint32(b)
		if at, mask := bit(word); x.filter[at]&mask == 0 || i < 3 {
			continue
		}
		for _, id := range x.ids[word] {
			found(low+i-3, id)
		}
	}
}
