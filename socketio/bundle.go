package socketio

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/coding"
)

// ClientVersion is the official JavaScript client's version this package is tested with.
// A server that was given no client files redirects to this version on the official CDN.
const ClientVersion = "4.8.4"

// clientCDN serves the same file names as the client's npm package (S-2).
const clientCDN = "https://cdn.socket.io/" + ClientVersion + "/"

// clientFiles are the names that Node's server answers under its path (S-2), and the
// only ones ever looked up in the directory given.
var clientFiles = map[string]bool{
	"socket.io.js":                 true,
	"socket.io.js.map":             true,
	"socket.io.min.js":             true,
	"socket.io.min.js.map":         true,
	"socket.io.esm.min.js":         true,
	"socket.io.esm.min.js.map":     true,
	"socket.io.msgpack.min.js":     true,
	"socket.io.msgpack.min.js.map": true,
}

// CheckClientBundle reports whether files is the directory of the official client's
// distribution, which npm puts at node_modules/socket.io-client/dist.
func CheckClientBundle(files fs.FS) error {
	const want = "socket.io.esm.min.js"
	if _, err := fs.Stat(files, want); err != nil {
		return fmt.Errorf("the client bundle has no %s (npm puts it in node_modules/socket.io-client/dist): %w", want, err)
	}
	return nil
}

// compressFrom is the size from which the client's files are compressed, in bytes.
const compressFrom = 1024

// bundle is the client's files, and what was made of them. It may be used from any goroutine.
type bundle struct {
	files fs.FS

	mu      sync.Mutex
	encoded map[encodedName]encodedFile // a handful: clientFiles in each coding
}

type encodedName struct {
	name   string
	coding coding.Coding
}

// encodedFile is a file in a coding, as long as its content stays what it was.
type encodedFile struct {
	of      [sha256.Size]byte
	content []byte
}

// serve answers a request for one of the client's files, from b or, where
// that lacks it, by a redirect to the CDN. It reports false for any other path: that
// is the engine's. The server's CORS policy holds for the files too, since a page of
// another origin needs its headers to import the module; what it does not allow is
// left to the browser, for the files are public.
func (b *bundle) serve(cors *engineio.CORS, w http.ResponseWriter, r *http.Request) bool {
	name := path.Base(r.URL.Path)
	if !clientFiles[name] {
		return false
	}
	h := w.Header()
	cors.Allow(h, r)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return true
	}
	content, err := b.read(name)
	if err != nil {
		http.Redirect(w, r, clientCDN+name, http.StatusTemporaryRedirect)
		return true
	}
	// The tag follows the content, not the version: the directory may hold any. It is a strong one, so
	// each coding has its own; that If-None-Match compares weakly is ServeContent's doing.
	sum := sha256.Sum256(content)
	tag := base64.RawURLEncoding.EncodeToString(sum[:12])
	h.Add("Vary", "Accept-Encoding")
	if len(content) >= compressFrom {
		if c := coding.Negotiate(r.Header["Accept-Encoding"]); c != coding.Identity {
			content = b.encode(encodedName{name, c}, sum, content)
			h.Set("Content-Encoding", string(c))
			tag += "-" + string(c)
		}
	}
	h.Set("ETag", `"`+tag+`"`)
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("Content-Type", clientFileType(name))
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	return true
}

func (b *bundle) read(name string) ([]byte, error) {
	if b.files == nil {
		return nil, errors.New("no client files")
	}
	return fs.ReadFile(b.files, name)
}

// encode compresses a file, once for as long as it does not change.
func (b *bundle) encode(as encodedName, sum [sha256.Size]byte, content []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.encoded[as]; ok && e.of == sum {
		return e.content
	}
	e := encodedFile{sum, as.coding.Append(nil, content)}
	if b.encoded == nil {
		b.encoded = make(map[encodedName]encodedFile)
	}
	b.encoded[as] = e
	return e.content
}

// clientFileType does not ask the system's table of types, which browsers have to
// agree with before they run a module.
func clientFileType(name string) string {
	if strings.HasSuffix(name, ".map") {
		return "application/json; charset=utf-8"
	}
	return "text/javascript; charset=utf-8"
}
