package auth

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkCheckKey: a known key among a thousand. It must cost at most 3 µs.
func BenchmarkCheckKey(b *testing.B) {
	cfg, _ := hsConfig(b, nil)
	f := keyFile(cfg)
	var token string
	if err := f.edit(func(keys []Key) ([]Key, error) {
		for range 1000 {
			var k Key
			k, token = f.forge(keys, Key{Role: Backend})
			keys = append(keys, k)
		}
		return keys, nil
	}); err != nil {
		b.Fatal(err)
	}
	checkOne(b, open(b, cfg), token)
}

func checkOne(b *testing.B, a *Authority, token string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Check(token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckJWT(b *testing.B) {
	cfg, _ := hsConfig(b, nil)
	b.Run("cached", func(b *testing.B) {
		checkOne(b, open(b, cfg), signHS(testSecret, hsHeader, claims(time.Now(), nil)))
	})
	// A thousand tokens and room for a few: each is verified anew.
	fresh := func(b *testing.B, a *Authority, sign func(payload string) string) {
		tokens := make([]string, 1000)
		for n := range tokens {
			tokens[n] = sign(claims(time.Now(), map[string]any{"sub": fmt.Sprint("s", n)}))
		}
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			if _, err := a.Check(tokens[n%len(tokens)]); err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.Run("HS256", func(b *testing.B) {
		cfg.JWT.MaxVerified = 2
		fresh(b, open(b, cfg), func(payload string) string { return signHS(testSecret, hsHeader, payload) })
	})
	b.Run("RS256", func(b *testing.B) {
		key := rsaKeys()[0]
		cfg := jwksConfig(b, nil, "RS256", public("one", key.Public()))
		cfg.JWT.MaxVerified = 2
		fresh(b, open(b, cfg), func(payload string) string { return signRS(key, rsHeader("one"), payload) })
	})
}
