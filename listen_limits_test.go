package perch_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A server of the app's own gives headers and bodies their time and size, whatever path they are for: slow loris.
func TestOwnServerIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, stop := served(t)
		defer stop()
		for _, tt := range []struct {
			name, request string
			status        int
			most          time.Duration
		}{
			{"headers that trickle", "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nX-Slow: ", 0, 10 * time.Second},
			{"headers that are too long", "GET /elsewhere HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 30<<10) + "\r\n\r\n", 431, time.Second},
			{"a body for a file", "GET /socket.io/socket.io.js HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", -1, time.Minute},
			{"a body for no path", "POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", -1, time.Minute},
			{"nothing", "", 0, 10 * time.Second},
		} {
			client := p.dial()
			began := time.Now()
			go func() {
				_, err := io.WriteString(client, tt.request)
				for err == nil && tt.status <= 0 && time.Since(began) < 5*time.Minute && tt.request != "" {
					<-time.After(time.Second)
					_, err = io.WriteString(client, "x")
				}
			}()
			status := 0
			r := bufio.NewReader(client)
			if resp, err := http.ReadResponse(r, nil); err == nil {
				status = resp.StatusCode
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			_, _ = io.Copy(io.Discard, r)
			if d := time.Since(began); d > tt.most+5*time.Second || tt.status >= 0 && status != tt.status {
				t.Errorf("%s: %d, closed after %v", tt.name, status, d)
			}
			client.Close()
		}
	})
}
