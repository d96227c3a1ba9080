package authn

import "math/big"

// rocaMarks pairs small primes with the powers of 65537 modulo each, as bits.
// A modulus whose residue is such a power for all of them was made by the
// Infineon library whose keys can be factored; a sound modulus passes by
// chance about once in 2^28.
//
// SPEC: CVE-2017-15361, "The Return of Coppersmith's Attack" (ACM CCS 2017), §2.
var rocaMarks = func() map[int64]*big.Int {
	marks := make(map[int64]*big.Int)
	for _, prime := range []int64{3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67,
		71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167} {
		bits := new(big.Int)
		for power := int64(1); bits.Bit(int(power)) == 0; power = power * 65537 % prime {
			bits.SetBit(bits, int(power), 1)
		}
		marks[prime] = bits
	}
	return marks
}()

// isROCA reports whether the modulus has the fingerprint of a ROCA key.
func isROCA(modulus *big.Int) bool {
	residue := new(big.Int)
	for prime, powers := range rocaMarks {
		if powers.Bit(int(residue.Mod(modulus, big.NewInt(prime)).Int64())) == 0 {
			return false
		}
	}
	return true
}
