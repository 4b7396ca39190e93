package engineio

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"
)

// S-19, S-68: answers to polls are compressed as the client accepts it, from a threshold, unless all
// messages ask not to be.
func TestHTTPCompression(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("perch ", 400)
	for _, tt := range []struct {
		name, accept string
		options      Options
		messages     []string // "-" before one that asks not to be compressed
		want         string
	}{
		{"gzip", "gzip, deflate", Options{}, []string{long}, "gzip"},
		{"deflate", "deflate", Options{}, []string{long}, "deflate"},
		{"by q-value", "gzip;q=0.3, deflate;q=0.4", Options{}, []string{long}, "deflate"},
		{"brotli alone", "br", Options{}, []string{long}, ""},
		{"identity", "identity", Options{}, []string{long}, ""},
		{"below the threshold", "gzip", Options{}, []string{long[:1022]}, ""},
		{"at the threshold", "gzip", Options{}, []string{long[:1023]}, "gzip"},
		{"at another threshold", "gzip", Options{HTTPCompressionThreshold: 10}, []string{"123456789"}, "gzip"},
		{"off", "gzip", Options{NoHTTPCompression: true}, []string{long}, ""},
		{"not wanted", "gzip", Options{}, []string{"-" + long, "-" + long}, ""},
		{"wanted by one", "gzip", Options{}, []string{"-" + long, long[:10]}, "gzip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, tt.options, false)
			defer f.close()
			sid, r := f.openPolling()
			var want []string
			for _, text := range tt.messages {
				text, no := strings.CutPrefix(text, "-")
				m := Message{NoCompress: no}
				m.AppendText([]byte(text))
				_ = r.session.Append(&m, false)
				want = append(want, "4"+text)
			}
			status, body, h := f.do("GET", base+"&sid="+sid, "", "Accept-Encoding", tt.accept)
			if status != 200 || h.Get("Content-Encoding") != tt.want {
				t.Errorf("%d %v", status, h)
			}
			var plain io.Reader = strings.NewReader(body)
			var err error
			switch h.Get("Content-Encoding") {
			case "gzip":
				plain, err = gzip.NewReader(plain)
			case "deflate":
				plain, err = zlib.NewReader(plain)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(plain)
			if err != nil || !bytes.Equal(got, []byte(strings.Join(want, "\x1e"))) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
