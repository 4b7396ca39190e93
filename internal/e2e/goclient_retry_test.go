package e2e

import (
	"errors"
	"slices"
	"strings"

	"github.com/perch-go/perch/client"
)

// again is a socket's options for a number of tries after the first, each of which is given up soon.
func again(retries int) func(*client.Options) {
	return func(o *client.Options) { o.Retries, o.AckTimeout = retries, 10*brief }
}

// stubborn asks what the server answers when it is asked for the nth time, or later if its answer was late.
func (v *visit) stubborn(s *client.Socket, name any, n float64) {
	v.Helper()
	if got := v.ask(s, "stubborn", name, n)[0].(float64); got < n || got > n+10 {
		v.Errorf("answered after %v tries, want %v", got, n)
	}
}

// patient is again for a server that answers.
func patient(o *client.Options) { o.Retries, o.AckTimeout = 3, patience }

// said are the first arguments of an event of that name that the server has heard n times at least.
func (v *visit) said(event string, n int) (list []any) {
	v.Helper()
	eventually(v.T, "the server hears "+event, func() bool {
		list = nil
		for _, e := range append(v.noted("plain", "any", 0), v.noted("steady", "any", 0)...) {
			if e[0] == event {
				list = append(list, e[1])
			}
		}
		return len(list) >= n
	})
	return list
}

// retryCases: events that are sent until they are acknowledged (C-17).
var retryCases = []goCase{
	{"retry: each is sent once if it is acknowledged, in order (C-17)", func(v *visit) {
		s := v.dial(v.at("plain")+"?watch=any", patient)
		for i := range 20 {
			v.emit(s, "echo", i)
		}
		v.want("answer", v.ask(s, "echo", 20), []any{20.0})
		v.want("heard", v.said("echo", 21), numbers(21))
	}},
	{"retry: the next is not sent before the one before is acknowledged (C-17)", func(v *visit) {
		s := v.dial(v.at("plain")+"?watch=any", patient)
		v.emit(s, "late", 100, "first")
		v.emit(s, "echo", "second")
		v.want("heard", v.said("late", 1), []any{100.0})
		v.want("too early", len(v.said("echo", 0)), 0)
		v.want("heard", v.said("echo", 1), []any{"second"})
	}},
	{"retry: is sent again until it is acknowledged (C-17)", func(v *visit) {
		s := v.dial(v.at("plain")+"?watch=any", again(-1))
		v.stubborn(s, "a", 4)
		v.want("heard", v.said("stubborn", 4)[:4], []any{"a", "a", "a", "a"})
	}},
	{"retry: gives up after as many tries, and the next goes on (C-17)", func(v *visit) {
		s := v.dial(v.at("plain")+"?watch=any", again(2))
		v.emit(s, "ignore", "in vain")
		if _, err := s.EmitWithAck(v.soon(), "ignore", "in vain, too"); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("ignore: %v", err)
		}
		v.want("next", v.ask(s.Timeout(patience), "echo", 1), []any{1.0})
		v.want("heard", v.said("ignore", 6), []any{"in vain", "in vain", "in vain", "in vain, too", "in vain, too", "in vain, too"})
	}},
	{"retry: what could be acknowledged at the last try is (C-17)", func(v *visit) {
		s := v.dial(v.at("plain"), again(2))
		v.stubborn(s, "a", 3)
	}},
	{"retry: nothing is sent while there is no connection, then once (C-14, C-17)", func(v *visit) {
		s := v.socket(v.at("plain")+"?watch=any", patient)
		for i := range 5 {
			v.emit(s, "echo", i)
		}
		packets, _ := s.Buffered()
		v.want("buffered", packets, 5)
		v.connect(s)
		v.want("answer", v.ask(s, "echo", 5), []any{5.0})
		v.want("heard", v.said("echo", 6), numbers(6))
	}},
	{"retry: what OnConnect emits is sent once (C-17)", func(v *visit) {
		s := v.socket(v.at("plain")+"?watch=any", patient)
		s.OnConnect(func() { _ = s.Emit("echo", "from OnConnect") })
		v.connect(s)
		v.want("heard", v.said("echo", 1), []any{"from OnConnect"})
		v.ask(s, "id")
		v.want("heard", v.said("echo", 1), []any{"from OnConnect"})
	}},
	{"retry: what was under way is sent again after a loss, first and in order (C-17)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url+"?watch=any", patient)
		v.emit(s, "stubborn", "head", 2) // its first is not answered
		v.emit(s, "echo", 1)
		v.emit(s, "echo", 2)
		v.said("stubborn", 1)
		v.lose(r, s, "steady", func() { v.emit(s, "echo", 3) })
		v.want("answer", v.ask(s, "echo", 4), []any{4.0})
		v.want("head", v.said("stubborn", 2), []any{"head", "head"})
		v.want("heard", v.said("echo", 4), []any{1.0, 2.0, 3.0, 4.0})
	}},
	{"retry: who waits for the answer gets it after the loss (C-17)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url+"?watch=any", patient)
		answers, soon := make(chan []any, 1), v.soon()
		go func() {
			reply, err := s.EmitWithAck(soon, "stubborn", "head", 2)
			if err != nil {
				answers <- []any{err}
				return
			}
			answers <- values(reply)
		}()
		v.said("stubborn", 1)
		v.lose(r, s, "steady", func() {})
		v.want("answer", <-answers, []any{2.0})
	}},
	{"retry: a volatile event goes its own way (C-15, C-17)", func(v *visit) {
		s := v.dial(v.at("plain")+"?watch=any", patient)
		v.settled(s)
		v.emit(s, "late", 200, "in front")
		v.said("late", 1)
		eventually(v.T, "the volatile one is heard", func() bool {
			v.emit(s.Volatile(), "echo", "volatile")
			return len(v.said("echo", 0)) > 0
		})
	}},
	{"retry: bytes are sent again, too (C-17)", func(v *visit) {
		s := v.dial(v.at("plain")+"?watch=any", again(-1))
		v.stubborn(s, []byte{1}, 2)
		v.want("heard", v.said("stubborn", 2)[:2], []any{"<01>", "<01>"})
	}},
	{"retry: full, the queue refuses (C-14, C-17)", func(v *visit) {
		s := v.socket(v.at("plain"), patient, func(o *client.Options) { o.MaxBufferedPackets = 2 })
		v.emit(s, "echo", 1)
		v.emit(s, "echo", 2)
		if err := s.Emit("echo", 3); !errors.Is(err, client.ErrBufferFull) {
			v.Errorf("Emit: %v", err)
		}
		v.connect(s)
		eventually(v.T, "the queue is empty", func() bool { n, _ := s.Buffered(); return n == 0 })
	}},
	{"retry: each socket of a manager may have its own options (C-8, C-17)", func(v *visit) {
		m := v.manager(v.at("plain") + "?watch=any")
		one, err := m.Socket("/one", &client.SocketOptions{Retries: 1, AckTimeout: 10 * brief})
		if err != nil {
			v.Fatal(err)
		}
		root := v.of(m, "/")
		v.connect(root, one)
		v.emit(root, "ignore", "once")
		if _, err := one.EmitWithAck(v.soon(), "ignore", "twice"); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("ignore: %v", err)
		}
		heard := v.said("ignore", 3)
		slices.SortFunc(heard, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) // namespaces have no common order
		v.want("heard", heard, []any{"once", "twice", "twice"})
	}},
	{"retry: each socket of a manager has its own queue (C-17)", func(v *visit) {
		m := v.manager(v.at("plain")+"?watch=any", patient)
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		v.emit(root, "late", 200, "slow")
		v.want("one", v.ask(one, "echo", 1), []any{1.0})
	}},
}
