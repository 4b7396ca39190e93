package coding

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Coding is the name of a content coding. It is a value.
type Coding string

const (
	Identity Coding = "" // none
	Gzip     Coding = "gzip"
	Deflate  Coding = "deflate" // the zlib format
)

// served are the codings there are, best first.
var served = [...]Coding{Gzip, Deflate}

// Negotiate picks the coding that the client prefers, by its Accept-Encoding headers: the greatest
// q-value, and of equals the one named first. A client that names none gets Identity.
func Negotiate(accept []string) Coding {
	best, bestQ, rest, restQ := Identity, 0.0, false, 0.0
	var named [len(served)]bool
	for _, line := range accept {
		for element := range strings.SplitSeq(line, ",") {
			name, q, ok := parseElement(element)
			switch {
			case !ok:
			case name == "identity":
				if q > bestQ {
					best, bestQ = Identity, q
				}
			case name == "*":
				rest, restQ = true, q
			default:
				for i, c := range served {
					if Coding(strings.TrimPrefix(name, "x-")) != c || named[i] {
						continue
					}
					named[i] = true
					// Identity is only better if it is wanted more.
					if q > bestQ || q == bestQ && best == Identity && q > 0 {
						best, bestQ = c, q
					}
				}
			}
		}
	}
	if rest && restQ > bestQ {
		for i, c := range served {
			if !named[i] {
				return c
			}
		}
	}
	return best
}

// parseElement reads `gzip;q=0.8`.
func parseElement(s string) (name string, q float64, ok bool) {
	name, params, _ := strings.Cut(s, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" {
		return "", 0, false
	}
	for p := range strings.SplitSeq(params, ";") {
		k, v, found := strings.Cut(p, "=")
		if !found || !strings.EqualFold(strings.TrimSpace(k), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return name, q, err == nil && q >= 0 && q <= 1
	}
	return name, 1, true
}

// encoder is what compress/gzip and compress/zlib have in common.
type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// A writer costs hundreds of kilobytes and is needed for a moment.
var (
	gzips = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	zlibs = sync.Pool{New: func() any { return zlib.NewWriter(nil) }}
)

// Append appends body, encoded, to dst.
func (c Coding) Append(dst, body []byte) []byte {
	var pool *sync.Pool
	switch c {
	case Gzip:
		pool = &gzips
	case Deflate:
		pool = &zlibs
	default:
		return append(dst, body...)
	}
	out := bytes.NewBuffer(dst)
	e := pool.Get().(encoder)
	e.Reset(out)
	_, _ = e.Write(body) // to memory: it cannot fail
	_ = e.Close()
	e.Reset(nil)
	pool.Put(e)
	return out.Bytes()
}
