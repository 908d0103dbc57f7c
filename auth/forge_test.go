package auth

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// forgery is a token that must be refused. Where why is given, it must be for that reason: else one mistake could hide behind another.
type forgery struct{ name, token, why string }

// forger makes forgeries for one authority.
type forger struct {
	now  time.Time
	list []forgery
}

func (f *forger) add(name, token, why string) { f.list = append(f.list, forgery{name, token, why}) }

// claim is a token signed in all order whose one claim is value.
func (f *forger) claim(name string, value any, why string) {
	changes := map[string]any{name: value}
	if name == "holdfast_desk" {
		changes["holdfast_role"] = "agent"
	}
	f.add(fmt.Sprintf("claim %s=%.30v", name, value), signHS(testSecret, hsHeader, claims(f.now, changes)), why)
}

// header is a token signed in all order with a header that must not be taken.
func (f *forger) header(header, why string) {
	f.add("header "+header, signHS(testSecret, header, claims(f.now, nil)), why)
}

func (f *forger) wrongClaims() {
	for _, v := range []any{nil, "", "https://evil.example", testIssuer + "/", strings.ToUpper(testIssuer), []string{testIssuer}, 7, null{}, testIssuer + "\x00"} {
		f.claim("iss", v, "issuer")
	}
	for _, v := range []any{nil, "", "other", "Holdfast", "holdfast2", "hold", []string{}, []string{"a", "b"}, []any{testAudience, 1}, []any{[]string{testAudience}},
		map[string]any{testAudience: true}, null{}, []any{null{}, testAudience}, testAudience + " x"} {
		f.claim("aud", v, "audience")
	}
	for _, v := range []any{nil, "tomorrow", fmt.Sprint(f.now.Add(time.Hour).Unix()), null{}, true, []int64{f.now.Add(time.Hour).Unix()}, map[string]int{"a": 1}, -5,
		json.RawMessage("1e400"), json.RawMessage("1e300"), lastMoment + 1} {
		f.claim("exp", v, "exp is missing or no time")
	}
	for _, v := range []any{0, 1, f.now.Add(-time.Hour).Unix(), f.now.Add(-30 * time.Second).Unix(), f.now.AddDate(-10, 0, 0).Unix()} {
		f.claim("exp", v, "expired")
	}
	for _, name := range []string{"nbf", "iat"} {
		for _, v := range []any{"now", null{}, true, -1, []int{1}, json.RawMessage("1e400")} {
			f.claim(name, v, name+" is no time")
		}
		for _, d := range []time.Duration{31 * time.Second, time.Hour, 24 * 365 * time.Hour} {
			f.claim(name, f.now.Add(d).Unix(), name+" is in the future")
		}
	}
	for _, v := range []any{nil, "", 17, null{}, true, []string{"s00017"}, map[string]string{"a": "b"}, ".", "..", "a/b", "../admin", "a b", "s00017 ", " s00017", "s00017\n", "s00017\x00",
		"sä", "a%2fb", "a\\b", "a,b", "a;b", "a*", "<b>", strings.Repeat("a", 129), "\u200bs00017", "s00017\u202e"} {
		f.claim("sub", v, "person")
	}
	for _, v := range []any{"", 5, null{}, true, []string{"spring"}, "*", "..", ".", "spring/../autumn", "spring ", "spring,autumn", strings.Repeat("r", 129), map[string]string{}} {
		f.claim("holdfast_realm", v, "realm is no id")
	}
	f.claim("holdfast_realm", nil, "for no realm")
	for _, v := range []any{"backend", "admin", "root", "", "Person", "ADMIN", "person ", "staff,admin", "public", []string{"person"}, []string{"admin"}, 1, null{}, true, map[string]bool{"staff": true}} {
		f.claim("holdfast_role", v, "role")
	}
	for _, v := range []any{"", 5, null{}, "a/b", "..", []string{"d1"}, strings.Repeat("d", 129)} {
		f.claim("holdfast_desk", v, "desk")
	}
}

func (f *forger) wrongHeaders() {
	payload := claims(f.now, nil)
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "", "hs256", "HS256 ", " HS256", "HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "dir", "HMAC", "A128KW", "HS256\\u0000"} {
		header := `{"alg":"` + alg + `","typ":"JWT"}`
		f.header(header, "algorithm")
		f.add("unsigned "+header, b64(header)+"."+b64(payload)+".", "")
		f.add("two parts "+header, b64(header)+"."+b64(payload), "three parts")
		f.add("no payload "+header, b64(header)+"..", "")
	}
	for _, h := range []string{`{"typ":"JWT"}`, `{"alg":null}`, `{"alg":1}`, `{"alg":["HS256"]}`, `{"alg":{"HS256":1}}`, `{"ALG":"HS256"}`, `{"Alg":"HS256"}`} {
		f.header(h, "algorithm")
	}
	for _, typ := range []string{`"JWE"`, `"JWS"`, `"at+jwt2"`, `"secevent+jwt"`, `"logout+jwt"`, `"dpop+jwt"`, `"JWT "`, `""`, `1`, `null`, `["JWT"]`, `{}`} {
		f.header(`{"alg":"HS256","typ":`+typ+`}`, "typ")
	}
	for _, more := range []string{`"crit":[]`, `"crit":["exp"],"exp":1`, `"crit":["b64"],"b64":true`, `"crit":["b64"],"b64":false`, `"crit":"exp"`, `"crit":null`, `"b64":false`, `"b64":true`,
		`"zip":"DEF"`, `"enc":"A256GCM"`, `"cty":"JWT"`, `"cty":null`} {
		f.header(`{"alg":"HS256",`+more+`}`, "is not taken")
	}
	for _, kid := range []string{`""`, `1`, `null`, `["a"]`, `{}`, `"` + strings.Repeat("k", 257) + `"`} {
		f.header(`{"alg":"HS256","kid":`+kid+`}`, "kid")
	}
	for _, h := range []string{`{"alg":"HS256","alg":"none"}`, `{"alg":"none","alg":"HS256"}`, `{"alg":"HS256","\u0061lg":"HS256"}`, `{"alg":"HS256","typ":"JWT","typ":"JWT"}`,
		`{"alg":"HS256","kid":"a","kid":"b"}`, `[]`, `"HS256"`, `null`, `1`, ``, `{`, `{"alg":"HS256"}{}`, `{"alg":"HS256"}x`, "\ufeff" + hsHeader, `{'alg':'HS256'}`, `{"alg":"HS256",}`, "{\"alg\":\"HS256\"}\x00",
		`{"alg":"HS256","x":` + strings.Repeat("[", 500)} {
		f.header(h, "header is no JSON object")
	}
}

func (f *forger) wrongPayloads() {
	good := claims(f.now, nil)
	cut := strings.TrimSuffix(good, "}")
	for _, more := range []string{`,"sub":"s00018"}`, `,"sub":"s00017"}`, `,"\u0073ub":"s00018"}`, `,"exp":9999999999}`, `,"holdfast_role":"person","holdfast_role":"staff"}`, `,"iss":"x"}`, `,"aud":"x"}`, `,"holdfast_realm":"autumn"}`,
		`,"x":1,"x":2}`, ``, `}}`, `}{}`, `} x`, `,}`, "}\x00"} {
		f.add("payload …"+more, signHS(testSecret, hsHeader, cut+more), "payload is no JSON object")
	}
	for _, p := range []string{``, `null`, `[]`, `"s00017"`, `1`, `[` + good + `]`, "\ufeff" + good, strings.Repeat("[", 3000), strings.Repeat(`{"a":`, 800)} {
		f.add(fmt.Sprintf("payload %.20s", p), signHS(testSecret, hsHeader, p), "payload is no JSON object")
	}
	f.add("payload {}", signHS(testSecret, hsHeader, `{}`), "issuer")
	// A claim that differs in its case is another claim.
	for _, name := range []string{"iss", "aud", "exp", "sub", "holdfast_realm"} {
		f.add("claim "+strings.ToUpper(name), signHS(testSecret, hsHeader, strings.Replace(good, `"`+name+`"`, `"`+strings.ToUpper(name)+`"`, 1)), "")
	}
	nested := signHS(testSecret, hsHeader, good)
	f.add("a JWT in a JWT", signHS(testSecret, hsHeader, nested), "payload is no JSON object")
}

// wrongSignatures has tokens whose contents are right.
func (f *forger) wrongSignatures() {
	payload := claims(f.now, nil)
	for _, secret := range []string{"", "secret", "\x00", testSecret + "\n", testSecret[1:], strings.ToUpper(testSecret), testSecret + testSecret, testIssuer, testAudience, b64(testSecret), "null"} {
		f.add(fmt.Sprintf("secret %.10q", secret), signHS(secret, hsHeader, payload), "signature")
	}
	for _, kid := range []string{"/dev/null", "../../../../dev/null", "file:///etc/passwd", "' UNION SELECT 'x'--", "$(id)", "secret"} {
		header, _ := json.Marshal(map[string]string{"alg": "HS256", "kid": kid})
		f.add("kid "+kid, signHS("", string(header), payload), "signature")
	}
	text := b64(hsHeader) + "." + b64(payload)
	m := hmac.New(sha512.New, []byte(testSecret))
	m.Write([]byte(text))
	long := m.Sum(nil)
	f.add("SHA-512", text+"."+b64(string(long)), "signature")
	f.add("SHA-512, cut", text+"."+b64(string(long[:32])), "signature")
	f.add("zeros", text+"."+b64(strings.Repeat("\x00", 32)), "signature")
	f.add("a byte", text+"."+b64("x"), "signature")
	good := signHS(testSecret, hsHeader, payload)
	f.add("signature twice", good+good[strings.LastIndexByte(good, '.')+1:], "")
	other := signHS(testSecret, hsHeader, claims(f.now, map[string]any{"sub": "s00018"}))
	f.add("signature of another", text+other[strings.LastIndexByte(other, '.'):], "signature")
	f.add("payload of another", strings.Split(good, ".")[0]+"."+strings.Split(other, ".")[1]+"."+strings.Split(good, ".")[2], "signature")
}

// wrongTexts changes the text of a token that is good.
func (f *forger) wrongTexts(good string) {
	for n := 0; n < len(good); n += 1 + len(good)/40 {
		f.add(fmt.Sprint("cut at ", n), good[:n], "")
	}
	for n := range good {
		flipped := []byte(good)
		flipped[n] ^= 1 << (n % 8)
		f.add(fmt.Sprint("bit flipped at ", n), string(flipped), "")
	}
	// The last letter of 32 bytes in base64 has two bits that mean nothing: only one spelling of four is right.
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, good[len(good)-1])
	for d := range 3 {
		f.add("another spelling", good[:len(good)-1]+string(letters[last&^3|(last+d+1)&3]), "")
	}
	for _, s := range []string{" ", "\n", "\r\n", "\t", "\x00", "=", ".", "..", ",", "%", "\u200b"} {
		f.add(fmt.Sprintf("%q behind", s), good+s, "")
		f.add(fmt.Sprintf("%q before", s), s+good, "")
		f.add(fmt.Sprintf("%q within", s), good[:30]+s+good[30:], "")
	}
	f.add("Bearer", "Bearer "+good, "")
	f.add("quoted", `"`+good+`"`, "")
	f.add("nothing", "", "there is none")
	f.add("a dot", ".", "")
	f.add("two dots", "..", "")
	f.add("dots", strings.Repeat(".", MaxToken), "three parts")
	f.add("many dots", strings.Repeat("e30.", 2000), "three parts")
	f.add("too many bytes", strings.Repeat("a", MaxToken+1), "8 KiB")
	f.add("a MiB of dots", strings.Repeat(".", 1<<20), "8 KiB")
	parts := strings.Split(good, ".")
	f.add("a nested JWE", b64(`{"alg":"dir","enc":"A256GCM","cty":"JWT"}`)+".."+b64("123456789012")+"."+b64(good)+"."+b64("1234567890123456"), "three parts")
	f.add("flattened JSON", fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]), "")
	f.add("general JSON", fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, parts[1], parts[0], parts[2]), "")
	f.add("detached", parts[0]+".."+parts[2], "")
	f.add("turned", parts[1]+"."+parts[0]+"."+parts[2], "")
	f.add("other base64", base64.StdEncoding.EncodeToString([]byte(good)), "")
	f.add("padded", parts[0]+"=."+parts[1]+"=."+parts[2]+"=", "a byte that no JWT has")
}

func (f *forger) wrongKeys(key, second string) {
	for n := range key {
		flipped := []byte(key)
		flipped[n] ^= 1 << (n % 7)
		f.add(fmt.Sprint("key, bit flipped at ", n), string(flipped), "")
		f.add(fmt.Sprint("key, cut at ", n), key[:n], "")
	}
	secretAt := len(keyPrefix) + idLen + 1
	f.add("id of one, secret of another", key[:secretAt]+second[secretAt:], "no such API key")
	f.add("id of nobody", keyPrefix+"aaaaaaaa_"+key[secretAt:], "no such API key")
	f.add("no secret", key[:secretAt], "form")
	f.add("secret only", key[secretAt:], "")
	for _, s := range []string{" ", "\n", "\x00", "a", "_", "="} {
		f.add("key, behind", key+s, "form")
		f.add("key, before", s+key, "")
	}
	f.add("upper case", strings.ToUpper(key), "")
	f.add("lower case", strings.ToLower(key), "")
	f.add("dashes", strings.ReplaceAll(key, "_", "-"), "")
	f.add("twice", key+key, "form")
	f.add("as Basic", base64.StdEncoding.EncodeToString([]byte("user:"+key)), "")
	f.add("hf_", "hf_", "form")
	f.add("zeros", keyPrefix+key[3:11]+"_"+strings.Repeat("0", secretLen), "no such API key")
}

// try has a refuse every forgery, and accept the good ones before and after.
func try(t *testing.T, a *Authority, list []forgery, good ...string) map[string]bool {
	t.Helper()
	tried := map[string]bool{}
	accepted := func() {
		t.Helper()
		for _, token := range good {
			if id, err := a.Check(token); err != nil || !a.Holds(id) {
				t.Errorf("the good token is refused: %v", err)
			}
		}
	}
	accepted()
	for _, f := range list {
		id, err := a.Check(f.token)
		switch {
		case err == nil:
			t.Errorf("%s: accepted as %+v", f.name, id)
		case !errors.Is(err, ErrToken):
			t.Errorf("%s: the error is %v", f.name, err)
		case !strings.Contains(err.Error(), f.why):
			t.Errorf("%s: refused because %q, not because of %q", f.name, err, f.why)
		case id != (Identity{}) || a.Holds(id):
			t.Errorf("%s: refused, but with %+v", f.name, id)
		}
		tried[f.token] = true
	}
	accepted()
	return tried
}

func TestForgeries(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	cfg, _ := hsConfig(t, c.now)
	_, key := mustCreate(t, keyFile(cfg), Key{Role: Backend})
	_, second := mustCreate(t, keyFile(cfg), Key{Role: Staff, Realm: "spring"})
	revoked, wasKey := mustCreate(t, keyFile(cfg), Key{Role: Admin})
	if _, err := keyFile(cfg).Revoke(revoked.ID); err != nil {
		t.Fatal(err)
	}
	_, ended := mustCreate(t, keyFile(cfg), Key{Role: Admin, Expires: morning})
	a := open(t, cfg)

	f := &forger{now: morning}
	good := signHS(testSecret, hsHeader, claims(morning, nil))
	f.wrongClaims()
	f.wrongHeaders()
	f.wrongPayloads()
	f.wrongSignatures()
	f.wrongTexts(good)
	f.wrongKeys(key, second)
	f.add("revoked key", wasKey, "no such API key")
	f.add("ended key", ended, "no such API key")
	f.add("signed, but too long", signHS(testSecret, hsHeader, claims(morning, map[string]any{"x": strings.Repeat("x", MaxToken)})), "8 KiB")
	id, err := a.Check(key)
	if err != nil {
		t.Fatal(err)
	}
	ticket, _, err := a.Ticket(id, "spring", "")
	if err != nil {
		t.Fatal(err)
	}
	f.add("a ticket for a token", ticket, "")
	tried := try(t, a, f.list, good, key, second)
	if len(tried) < 750 {
		t.Errorf("only %d different forgeries were tried", len(tried))
	}
	if n := a.jwt.verified.len(); n != 1 {
		t.Errorf("%d tokens are remembered as verified; one was good", n)
	}
	t.Logf("%d different forgeries refused", len(tried))
}

// TestWholeHashIsCompared: a key whose hash is right in all bytes but one is another key.
func TestWholeHashIsCompared(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	cfg, _ := hsConfig(t, c.now)
	f := keyFile(cfg)
	var tokens []string
	if err := f.edit(func(keys []Key) ([]Key, error) {
		for n := range 33 { // the last one as it is
			k, token := f.forge(keys, Key{Role: Admin})
			if hash, err := hex.DecodeString(k.Hash); err != nil {
				return nil, err
			} else if n < len(hash) {
				hash[n] ^= 1
				k.Hash = hex.EncodeToString(hash)
			}
			keys, tokens = append(keys, k), append(tokens, token)
		}
		return keys, nil
	}); err != nil {
		t.Fatal(err)
	}
	a := open(t, cfg)
	for n, token := range tokens {
		if _, err := a.Check(token); (err == nil) != (n == 32) {
			t.Errorf("byte %d: %v", n, err)
		}
	}
}

// TestForgeriesOfPublicKeys: whoever knows the public keys, and that is everybody, can sign nothing with them.
func TestForgeriesOfPublicKeys(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	keys := rsaKeys()
	one, two, evil := keys[0], keys[1], keys[2]
	ec := ecKey(t)
	cfg := jwksConfig(t, c.now, "RS256", public("one", one.Public()), public("two", two.Public()), public("ec", ec.Public()))
	a := open(t, cfg)
	payload := claims(morning, nil)
	f := &forger{now: morning}
	f.confusion(&one.PublicKey, &ec.PublicKey, jwks(t, public("one", one.Public())))

	for _, kid := range []string{"ec", "three", "ONE", "one ", " one", "one\\u0000", "../one", "/dev/null", "https://evil.example/jwks.json", "0", "one,two", "*", "one' OR '1'='1"} {
		header := `{"alg":"RS256","kid":"` + kid + `"}`
		f.add("kid "+kid+", right key", signRS(one, header, payload), "kid")
		f.add("kid "+kid+", own key", signRS(evil, header, payload), "kid")
	}
	f.add("no kid", signRS(one, `{"alg":"RS256"}`, payload), "kid")
	f.add("kid of the other key", signRS(one, rsHeader("two"), payload), "signature")
	f.add("own key under a known kid", signRS(evil, rsHeader("one"), payload), "signature")
	f.add("PS256 by its name", signPS(one, `{"alg":"PS256","kid":"one"}`, payload), "algorithm")
	f.add("PS256 called RS256", signPS(one, rsHeader("one"), payload), "signature")
	f.add("ES256 by its name", signES(ec, `{"alg":"ES256","kid":"ec"}`, payload), "algorithm")
	f.add("ES256 called RS256", signES(ec, rsHeader("ec"), payload), "kid")
	evilKey, err := public("one", evil.Public()).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{`"jwk":` + string(evilKey), `"jku":"https://evil.example/jwks.json"`, `"x5u":"https://evil.example/cert.pem"`, `"x5t":"abc"`,
		`"x5c":["` + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&evil.PublicKey)) + `"]`, `"jwk":{}`, `"jwk":null`} {
		f.add(more, signRS(evil, `{"alg":"RS256","kid":"one",`+more+`}`, payload), "")
		f.add("no kid, "+more, signRS(evil, `{"alg":"RS256",`+more+`}`, payload), "")
	}
	good := signRS(one, rsHeader("one"), payload)
	f.wrongTexts(good)
	n := len(f.list)
	for _, x := range f.list[:n] {
		if x.name == "another spelling" && x.token == good {
			t.Fatal("the generator made the good token")
		}
	}
	tried := try(t, a, f.list, good, signRS(two, rsHeader("two"), payload), signRS(one, `{"alg":"RS256","kid":"one","jku":"https://login.example.edu/keys","x5t":"abc"}`, payload))
	if len(tried) < 500 {
		t.Errorf("only %d different forgeries were tried", len(tried))
	}
	t.Logf("%d different forgeries refused", len(tried))
}

// confusion signs with HMAC, and a public key in every spelling for a secret.
func (f *forger) confusion(key *rsa.PublicKey, ec *ecdsa.PublicKey, set string) {
	pkix, _ := x509.MarshalPKIXPublicKey(key)
	ecPKIX, _ := x509.MarshalPKIXPublicKey(ec)
	pkcs1 := x509.MarshalPKCS1PublicKey(key)
	secrets := []string{set, string(pkix), string(pkcs1), string(ecPKIX), string(key.N.Bytes()), key.N.String(), b64(string(key.N.Bytes())), ""}
	for _, b := range []struct {
		kind  string
		bytes []byte
	}{{"PUBLIC KEY", pkix}, {"RSA PUBLIC KEY", pkcs1}, {"PUBLIC KEY", ecPKIX}} {
		text := string(pem.EncodeToMemory(&pem.Block{Type: b.kind, Bytes: b.bytes}))
		secrets = append(secrets, text, strings.TrimSpace(text), strings.ReplaceAll(text, "\n", "\r\n"))
	}
	for n, secret := range secrets {
		f.add(fmt.Sprint("HS256 with public key ", n), signHS(secret, `{"alg":"HS256","kid":"one"}`, claims(f.now, nil)), "algorithm")
		f.add(fmt.Sprint("HMAC called RS256 with public key ", n), signHS(secret, rsHeader("one"), claims(f.now, nil)), "signature")
	}
}

// TestForgedTickets: a ticket is good once, for its realm and its origin.
func TestForgedTickets(t *testing.T) {
	t.Parallel()
	c := &clock{at: morning}
	cfg, _ := hsConfig(t, c.now)
	cfg.MaxTicketsEach = 1000
	_, key := mustCreate(t, keyFile(cfg), Key{Role: Backend})
	a := open(t, cfg)
	id, err := a.Check(key)
	if err != nil {
		t.Fatal(err)
	}
	const origin = "https://enrol.example.edu"
	give := func() string {
		t.Helper()
		ticket, expires, err := a.Ticket(id, "spring", origin)
		if err != nil || !expires.Equal(c.now().Add(30*time.Second)) {
			t.Fatal(expires, err)
		}
		return ticket
	}
	tried := 0
	refused := func(name, ticket, realm, origin string) {
		t.Helper()
		tried++
		if got, err := a.Redeem(ticket, realm, origin); !errors.Is(err, ErrToken) || got != (Identity{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	good := give()
	for n := range good {
		flipped := []byte(good)
		flipped[n] ^= 1
		refused("flipped", string(flipped), "spring", origin)
		refused("cut", good[:n], "spring", origin)
	}
	refused("longer", good+"a", "spring", origin)
	refused("with a break", good+"\n", "spring", origin)
	refused("an API key", key, "spring", origin)
	refused("a JWT", signHS(testSecret, hsHeader, claims(morning, nil)), "spring", origin)
	refused("nothing", "", "spring", origin)
	for _, realm := range []string{"", "autumn", "Spring", "spring ", "*"} {
		refused("realm "+realm, give(), realm, origin)
	}
	for _, o := range []string{"", "null", "*", "http://enrol.example.edu", "https://enrol.example.edu:8443", "https://enrol.example.edu.evil.example", "https://ENROL.example.edu", origin + "/"} {
		refused("origin "+o, give(), "spring", o)
	}
	spent := give()
	refused("other realm", spent, "autumn", origin)
	refused("after a wrong try", spent, "spring", origin)

	// All that spent nothing of the good one.
	got, err := a.Redeem(good, "spring", origin)
	if err != nil || !a.Holds(got) || got.Realm != "spring" || got.Role != Backend || got.Name != id.Name {
		t.Fatalf("%+v, %v", got, err)
	}
	refused("replay", good, "spring", origin)
	late := give()
	c.move(30 * time.Second)
	refused("late", late, "spring", origin)
	if tried < 110 {
		t.Errorf("only %d were tried", tried)
	}
}
