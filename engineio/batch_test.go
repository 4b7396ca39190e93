package engineio

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/perch-go/perch/internal/wsframe"
)

// batches is a Handler that writes down what it is told: "|" at the end of a batch while its session can still answer.
type batches struct {
	session *Session
	told    []string
	over    bool
}

func (h *batches) HandleMessage(data []byte, _ bool) { h.told = append(h.told, string(data)) }
func (h *batches) HandleClose(Reason, error)         { h.over = true }

func (h *batches) EndBatch() {
	if h.session.SendText([]byte("answer")) == nil {
		h.told = append(h.told, "|")
	}
}

// What came together belongs together: all messages of one read, or of the body of one POST; and a Batcher hears of the end before
// its session ends because of what stands behind them.
func TestBatcher(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frames [][]byte
		want   []string
		over   bool
	}{
		"messages":       {[][]byte{masked(wsframe.Text, "4a"), masked(wsframe.Text, "4b"), masked(wsframe.Text, "4c")}, []string{"a", "b", "c", "|"}, false},
		"no message":     {[][]byte{masked(wsframe.Ping, "")}, nil, false},
		"close frame":    {[][]byte{masked(wsframe.Text, "4a"), masked(wsframe.Text, "4b"), masked(wsframe.Close, "\x03\xe8")}, []string{"a", "b", "|"}, true},
		"close packet":   {[][]byte{masked(wsframe.Text, "4a"), masked(wsframe.Text, "1")}, []string{"a", "|"}, true},
		"invalid packet": {[][]byte{masked(wsframe.Text, "4a"), masked(wsframe.Text, "x")}, []string{"a", "|"}, true},
		"invalid frame":  {[][]byte{masked(wsframe.Text, "4a"), {0xff, 0x80, 0, 0, 0, 0}}, []string{"a", "|"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := new(batches)
				f := newFixture(t, Options{}, false)
				defer f.close()
				f.server.accept = func(s *Session) Handler { h.session = s; return h }
				ws := f.dial("")
				ws.read()
				if _, err := ws.conn.Write(bytes.Join(c.frames, nil)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if !slices.Equal(h.told, c.want) || h.over != c.over {
					t.Errorf("told %q, over %v; want %q, %v", h.told, h.over, c.want, c.over)
				}
				_ = ws.conn.Close()
			})
		})
	}
	t.Run("post", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := new(batches)
			f := newFixture(t, Options{}, false)
			defer f.close()
			f.server.accept = func(s *Session) Handler { h.session = s; return h }
			_, open, _ := f.do("GET", base, "")
			sid := openID(t, open)
			for _, body := range []string{"4a\x1e4b", "4c"} {
				f.do("POST", base+"&sid="+sid, body)
			}
			if want := []string{"a", "b", "|", "c", "|"}; !slices.Equal(h.told, want) {
				t.Errorf("told %q, want %q", h.told, want)
			}
		})
	})
}
