package e2e

import (
	"context"
	"errors"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
)

// noting is a handler of something that has no arguments.
func noting(fn func()) client.Handler { return func(context.Context, *client.Event) { fn() } }

// note is what typed events carry here.
type note struct {
	Text string `json:"text"`
	Data []byte `json:"data,omitempty"`
}

const (
	echoed   event.Request[note, note]  = "echo"
	question event.Request[note, note]  = "question"
	streamed event.Stream[int, float64] = "stream"
	posted   event.Event[note]          = "posted"
)

// typedCases: events of one argument, by their types.
var typedCases = []goCase{
	{"typed: Call by descriptor and by name (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		in := note{"hello", []byte{1, 2}}
		out, err := client.Call(v.soon(), s, echoed, in)
		v.want("by descriptor", []any{out, err}, []any{in, error(nil)})
		out, err = client.Call[note](v.soon(), s, "echo", in)
		v.want("by name", []any{out, err}, []any{in, error(nil)})
		none, err := client.Call[event.None](v.soon(), s, "echo", event.None{})
		v.want("nothing", []any{none, err}, []any{event.None{}, error(nil)})
	}},
	{"typed: Call's answer may be an error (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		_, err := client.Call[note](v.soon(), s, "echo", object{"status": "error", "code": "NOT_FOUND", "message": "no such note", "details": []int{1}})
		failed, ok := errors.AsType[*client.Error](err)
		if !ok || failed.Code != "NOT_FOUND" || failed.Message != "no such note" {
			v.Fatalf("Call: %v", err)
		}
		var details []int
		if err := failed.Details.Decode(&details); err != nil || len(details) != 1 {
			v.Errorf("details: %v, %v", details, err)
		}
	}},
	{"typed: Call's answer has to fit (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		if out, err := client.Call[int](v.soon(), s, "echo", "text"); err == nil {
			v.Errorf("Call = %v", out)
		}
		if out, err := client.Call[int](v.soon(), s, "echo", event.None{}); err == nil {
			v.Errorf("Call = %v", out)
		}
	}},
	{"typed: Call in time, or not (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		if _, err := client.Call[note](v.soon(), s.Timeout(brief), "ignore", note{}); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("Call: %v", err)
		}
	}},
	{"typed: Call is sent again, with retries (C-17)", func(v *visit) {
		s := v.dial(v.at("plain")+"?watch=any", again(2))
		if _, err := client.Call[note](v.soon(), s, "ignore", note{Text: "again"}); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("Call: %v", err)
		}
		v.want("heard", len(v.said("ignore", 3)), 3)
		out, err := client.Call(v.soon(), s, echoed, note{Text: "answered"})
		v.want("answer", []any{out.Text, err}, []any{"answered", error(nil)})
	}},
	{"typed: Emit and On (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		notes := new(record)
		off := client.On(s, posted, func(_ context.Context, n note) { notes.add(n) })
		v.ask(s, "emit", "posted", object{"text": "a", "data": []byte{1}}, "surplus")
		v.want("heard", v.wait("a note", notes, 1), []any{note{"a", []byte{1}}})
		off()
		v.ask(s, "emit", "posted", object{"text": "b"})
		echoes := new(record)
		client.On(s, "echo", func(_ context.Context, n note) { echoes.add(n) })
		if err := client.Emit(s, "echo", note{Text: "c"}); err != nil {
			v.Error(err)
		}
		v.want("echo", v.wait("the echo", echoes, 1), []any{note{Text: "c"}})
		v.want("heard", len(notes.all()), 1)
	}},
	{"typed: what does not fit is told, not handled (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		notes, failures := new(record), new(record)
		client.On(s, posted, func(_ context.Context, n note) { notes.add(n) })
		s.OnError(func(e *client.Event, _ error) { failures.add(e.Name()) })
		v.ask(s, "emit", "posted", 5)
		v.ask(s, "emit", "posted")
		v.want("failures", v.wait("two failures", failures, 2), []any{"posted", "posted"})
		v.want("heard", notes.all(), []any{})
	}},
	{"typed: OnRequest answers the server (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		client.OnRequest(s, question, func(_ context.Context, n note) (note, error) {
			switch n.Text {
			case "refuse":
				return note{}, &client.Error{Code: "NO", Message: "I will not"}
			case "fail":
				return note{}, errors.New("a secret of mine")
			}
			return note{Text: "re: " + n.Text, Data: n.Data}, nil
		})
		ask := func(arg any) any {
			return v.ask(s, "ask", object{}, "question", arg)[0].(object)["answer"].([]any)[0]
		}
		v.want("answer", ask(note{"hello", []byte{1}}), any(object{"text": "re: hello", "data": []byte{1}}))
		v.want("refusal", ask(note{Text: "refuse"}), any(object{"status": "error", "code": "NO", "message": "I will not"}))
		failure := ask(note{Text: "fail"}).(object)
		v.want("failure", []any{failure["status"], failure["code"], failure["message"] == "a secret of mine"}, []any{"error", "INTERNAL", false})
		misfit := ask(5).(object)
		v.want("misfit", []any{misfit["status"], misfit["code"]}, []any{"error", "BAD_PAYLOAD"})
	}},
	{"typed: Stream ends with the acknowledgement (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		var got []any
		for n, err := range client.Stream(v.soon(), s, streamed, 100) {
			if err != nil {
				v.Fatal(err)
			}
			got = append(got, n)
		}
		v.want("stream", got, numbers(100))
		got = nil
		for n, err := range client.Stream(v.soon(), s, streamed, 3) { // again
			if err != nil {
				v.Fatal(err)
			}
			got = append(got, n)
		}
		v.want("stream", got, numbers(3))
	}},
	{"typed: Stream ends with the connection (C-12, C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.settled(s)
		soon, ended := v.soon(), make(chan error, 1)
		out := new(record)
		s.OnAnyOutgoing(func(event string, _ []any) { out.add(event) })
		go func() {
			var last error
			for _, err := range client.Stream[float64](soon, s, "ignore", 1) {
				last = err
			}
			ended <- last
		}()
		v.until(out, "ignore", 1)
		v.emit(s, "hangUp")
		if err := <-ended; !errors.Is(err, client.ErrDisconnected) {
			v.Errorf("Stream: %v", err)
		}
		v.back(s)
	}},
	{"typed: Events go on after a loss (C-12, C-20)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		events := client.Events[float64](v.soon(), s, "echo")
		v.emit(s, "echo", 0)
		v.ask(s, "id")
		v.lose(r, s, "steady", func() { v.emit(s, "echo", 1) })
		v.emit(s, "echo", 2)
		var got []any
		for n, err := range events {
			if err != nil {
				v.Fatal(err)
			}
			if got = append(got, n); len(got) == 3 {
				break
			}
		}
		v.want("events", got, numbers(3))
	}},
	{"typed: where connections recover, the offset is not in the way (C-18)", func(v *visit) {
		s := v.dial(v.at("lasting"))
		notes := new(record)
		client.On(s, "echo", func(_ context.Context, n note) { notes.add(n) })
		client.On(s, "remark", func(context.Context, event.None) { notes.add("remark") })
		v.emit(s, "echo", note{Text: "a"})
		v.ask(s, "emit", "remark")
		v.want("heard", v.wait("both", notes, 2), []any{note{Text: "a"}, "remark"})
	}},
}
