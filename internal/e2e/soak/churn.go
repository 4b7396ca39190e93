package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/e2e/crowd"
)

// soak is one run.
type soak struct {
	*plan
	*process
	out io.Writer

	crowd  *crowd.Server
	kinds  []crowd.Kind
	visits []atomic.Uint64 // by kind

	start, warmed, end figures // without clients
	begin              time.Time
	samples            []sample
	from, to           int // those of the time that counts
}

// sample is what there was at a time.
type sample struct {
	at time.Duration
	figures
}

// mix is how often clients are of each sort, of ten.
const (
	ofPolite, ofRude = 5, 2
	ofAll            = 10
)

// draw decides what a client is: the number of its kind.
func draw(rng *rand.Rand) int {
	n, which := rng.IntN(ofAll), rng.IntN(1<<20)
	switch {
	case n < ofPolite:
		return which % len(crowd.Polite)
	case n < ofPolite+ofRude:
		return len(crowd.Polite) + which%len(crowd.Rude)
	}
	return len(crowd.Polite) + len(crowd.Rude) + which%len(crowd.Hostile)
}

func (s *soak) run(ctx context.Context) (err error) {
	for _, some := range [][]crowd.Kind{crowd.Polite, crowd.Rude, crowd.Hostile} {
		s.kinds = append(s.kinds, some...)
	}
	s.visits = make([]atomic.Uint64, len(s.kinds))
	const maxPayload = 100_000 // of the profile
	s.crowd = &crowd.Server{Addr: s.addr, MaxPayload: maxPayload, Stay: s.stay, Burst: 100}
	if s.start, err = s.look(ctx, true); err != nil {
		return err
	}
	s.begin = time.Now()
	if s.warmed = s.start; s.warm > 0 {
		if s.warmed, err = s.churn(ctx, s.warm, 0); err != nil {
			return err
		}
	}
	begin := time.Since(s.begin)
	if s.end, err = s.churn(ctx, s.time, 1); err != nil {
		return err
	}
	s.from, s.to = within(s.samples, begin, begin+s.time)
	return nil
}

// churn has clients come and go for a time, and returns what the server has when all of them are gone.
func (s *soak) churn(ctx context.Context, d time.Duration, number uint64) (left figures, err error) {
	over, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var clients sync.WaitGroup
	for slot := range s.clients {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(s.seed, uint64(slot)<<1|number))
			// They come over the first moments, so that they do not leave together either.
			for pause := rng.Int64N(int64(min(s.stay, d/4) + 1)); wait(over, time.Duration(pause)); pause = rng.Int64N(int64(100 * time.Millisecond)) {
				kind := draw(rng)
				s.kinds[kind].Visit(over, s.crowd, rng)
				s.visits[kind].Add(1)
			}
		})
	}
	gone := make(chan struct{})
	go func() { clients.Wait(); close(gone) }()
	defer func() { cancel(); <-gone }()
	if err := s.watch(ctx, func(figures) bool { return isClosed(gone) }); err != nil {
		return nil, err
	}
	giveUp := time.Now().Add(s.settle)
	err = s.watch(ctx, func(f figures) bool { return s.asBefore(f) || time.Now().After(giveUp) })
	if err != nil {
		return nil, err
	}
	return s.look(ctx, true)
}

// asBefore reports whether there is as little as before the first client.
func (s *soak) asBefore(f figures) bool {
	for _, m := range measured {
		if m.counted && f[m.name] > s.start[m.name]+m.once {
			return false
		}
	}
	return true
}

// watch looks at the server each second until done says so.
func (s *soak) watch(ctx context.Context, done func(figures) bool) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		f, err := s.look(ctx, false)
		if err != nil {
			return fmt.Errorf("after %v: %w", time.Since(s.begin).Round(time.Second), err)
		}
		s.samples = append(s.samples, sample{time.Since(s.begin), f})
		if done(f) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
