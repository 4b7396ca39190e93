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
	"time"

	"github.com/perch-go/perch/engineio"
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

// serveClient answers a request for one of the client's files, from files or, where
// those lack it, by a redirect to the CDN. It reports false for any other path: that
// is the engine's. The server's CORS policy holds for the files too, since a page of
// another origin needs its headers to import the module; what it does not allow is
// left to the browser, for the files are public.
func serveClient(files fs.FS, cors *engineio.CORS, w http.ResponseWriter, r *http.Request) bool {
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
	content, err := readClientFile(files, name)
	if err != nil {
		http.Redirect(w, r, clientCDN+name, http.StatusTemporaryRedirect)
		return true
	}
	// The tag follows the content, not the version: the directory may hold any.
	sum := sha256.Sum256(content)
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("Content-Type", clientFileType(name))
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	return true
}

func readClientFile(files fs.FS, name string) ([]byte, error) {
	if files == nil {
		return nil, errors.New("no client files")
	}
	return fs.ReadFile(files, name)
}

// clientFileType does not ask the system's table of types, which browsers have to
// agree with before they run a module.
func clientFileType(name string) string {
	if strings.HasSuffix(name, ".map") {
		return "application/json; charset=utf-8"
	}
	return "text/javascript; charset=utf-8"
}
