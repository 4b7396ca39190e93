package coding

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// S-19: what a client accepts, with q-values.
func TestNegotiate(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]Coding{
		"":                                 Identity,
		"gzip":                             Gzip,
		"deflate":                          Deflate,
		"br":                               Identity,
		"gzip, deflate, br, zstd":          Gzip,
		"br;q=1.0, deflate, gzip":          Deflate,
		"gzip;q=0.5, deflate;q=0.8":        Deflate,
		"GZIP ; Q=0.5":                     Gzip,
		"x-gzip":                           Gzip,
		"gzip;q=0":                         Identity,
		"gzip;q=0, *":                      Deflate,
		"gzip;q=0, deflate;q=0, *":         Identity,
		"*":                                Gzip,
		"*;q=0":                            Identity,
		"*;q=0.1, deflate;q=0.5":           Deflate,
		"identity, gzip":                   Gzip,
		"identity;q=1, gzip;q=0.5":         Identity,
		"identity;q=0, gzip;q=0.5":         Gzip,
		"gzip;q=2":                         Identity,
		"gzip;q=x, deflate;q=0.1":          Deflate,
		",,;q=1,=,gzip;level=9;q=0.5":      Gzip,
		"gzip;q=NaN":                       Identity,
		strings.Repeat("gzip;q=0,", 10000): Identity,
	} {
		if got := Negotiate([]string{accept}); got != want {
			t.Errorf("%.40q: %q, want %q", accept, got, want)
		}
	}
	if got := Negotiate([]string{"br", "deflate"}); got != Deflate {
		t.Errorf("two headers: %q", got)
	}
	if got := Negotiate(nil); got != Identity {
		t.Errorf("no header: %q", got)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	body := []byte(strings.Repeat("perch ", 1000))
	for range 3 { // with used writers too
		for c, open := range map[Coding]func(io.Reader) (io.Reader, error){
			Gzip:     func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
			Deflate:  func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
			Identity: func(r io.Reader) (io.Reader, error) { return r, nil },
		} {
			encoded := c.Append([]byte("before"), body)
			encoded, ok := bytes.CutPrefix(encoded, []byte("before"))
			if !ok || c != Identity && len(encoded) > len(body)/10 {
				t.Errorf("%s: %d bytes", c, len(encoded))
			}
			r, err := open(bytes.NewReader(encoded))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: %d bytes, %v", c, len(got), err)
			}
		}
	}
}

// FuzzNegotiate: whatever a client writes, the answer is one of ours, and never one that it rules out.
func FuzzNegotiate(f *testing.F) {
	f.Add("gzip;q=0.5, deflate, *;q=0")
	f.Add("identity;q=0,x-gzip")
	f.Fuzz(func(t *testing.T, header string) {
		switch c := Negotiate([]string{header}); {
		case c == Identity:
		case c != Gzip && c != Deflate:
			t.Errorf("%q: %q", header, c)
		case !strings.Contains(strings.ToLower(header), string(c)) && !strings.Contains(header, "*"):
			t.Errorf("%q: %q was not named", header, c)
		case Negotiate([]string{string(c) + ";q=0," + header}) == c:
			t.Errorf("%q: %q in spite of q=0", header, c)
		}
	})
}
