package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/internal/e2e/chaos"
)

// relay is a way to a server that a test can cut, close and let fall silent.
type relay struct{ *chaos.Proxy }

// startRelay makes a way to the server at url until the test ends.
func startRelay(t *testing.T, target string) (r relay, url string) {
	t.Helper()
	p, err := chaos.Listen(strings.TrimPrefix(target, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return relay{p}, "http://" + p.Addr()
}

// cut ends every connection there is.
func (r relay) cut() {
	for _, l := range r.Links() {
		l.Cut(false)
	}
}

// silence swallows what is said from now on, by those who are connected and by the next of them.
func (r relay) silence(next int) {
	mute := func(l *chaos.Link) { l.Stall(chaos.Both, time.Hour) }
	for _, l := range r.Links() {
		mute(l)
	}
	for range next {
		r.Next(mute)
	}
}

// open says whether new connections are let through.
func (r relay) open(through bool) {
	if through {
		r.Calm()
		return
	}
	r.Refuse(time.Hour)
}

// came is how many connections were tried.
func (r relay) came() uint64 {
	s := r.Stats()
	return s.Links + s.Refused
}

// settle waits until clients have said nothing for a while. It is no proof that they will not.
func (r relay) settle(t *testing.T) {
	t.Helper()
	last, since := uint64(0), time.Now()
	eventually(t, "clients are quiet", func() bool {
		if n := r.Stats().Up; n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 15*time.Millisecond
	})
}
