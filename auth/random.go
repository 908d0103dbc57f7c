package auth

import "crypto/rand"

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	base32 = "abcdefghijklmnopqrstuvwxyz234567"

	secretLen = 43 // of base62: 256 bits
	idLen     = 8  // of base32: 40 bits; unique in a file by looking
)

// random gives n letters of an alphabet of at most 128, each as likely as any other.
func random(n int, alphabet string) string {
	out := make([]byte, 0, n)
	var buf [64]byte
	fair := 256 - 256%len(alphabet)
	for len(out) < n {
		rand.Read(buf[:]) // never fails: it ends the process instead
		for _, b := range buf {
			if int(b) < fair && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}
