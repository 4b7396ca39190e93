package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

var nothing = func() error { return nil }

func (h *history) texts(room, after string) (all []string) {
	for said := range h.of(room, after) {
		all = append(all, said.Message.Text)
	}
	return all
}

func say(h *history, room, text string) {
	_ = h.add(Said{Message: &Message{ID: "id of " + text, Room: room, Text: text}}, nothing)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	var h history
	say(&h, "a", "1")
	say(&h, "b", "2")
	say(&h, "a", "3")
	for _, tt := range []struct {
		room, after string
		want        []string
	}{
		{"a", "", []string{"1", "3"}},
		{"b", "", []string{"2"}},
		{"c", "", nil},
		{"a", "id of 1", []string{"3"}},
		{"a", "id of 2", []string{"3"}},
		{"a", "id of 3", nil},
		{"a", "forgotten", []string{"1", "3"}},
	} {
		if got := h.texts(tt.room, tt.after); !slices.Equal(got, tt.want) {
			t.Errorf("%s after %q: %q, want %q", tt.room, tt.after, got, tt.want)
		}
	}
	failed := errors.New("told nobody")
	if err := h.add(Said{File: &File{}}, func() error { return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
}

// However much is said, it takes no more memory than it may.
func TestHistoryBounds(t *testing.T) {
	t.Parallel()
	var h history
	for i := range 3 * maxSaid {
		say(&h, "r", fmt.Sprint(i))
	}
	if got := h.texts("r", ""); len(got) != maxSaid || got[0] != fmt.Sprint(2*maxSaid) {
		t.Errorf("%d messages, the first is %q", len(got), got[0])
	}
	file := Said{File: &File{ID: "f", Room: "r", Data: make([]byte, maxUpload)}}
	const most = maxSaidBytes / maxUpload
	for range 2 * most {
		_ = h.add(file, nothing)
	}
	if n := len(slices.Collect(h.of("r", ""))); n != most || h.bytes > maxSaidBytes {
		t.Errorf("%d files, %d bytes", n, h.bytes)
	}
}

// Who reads slowly gets what is there yet, and not what is said meanwhile.
func TestHistorySlowly(t *testing.T) {
	t.Parallel()
	var h history
	for i := range maxSaid {
		say(&h, "r", fmt.Sprint(i))
	}
	var got []string
	for said := range h.of("r", "") {
		got = append(got, said.Message.Text)
		say(&h, "r", "later")
		say(&h, "r", "later")
	}
	// Two more push out two, of which one was read.
	if len(got) != maxSaid/2 || slices.Contains(got, "later") || got[1] != "2" {
		t.Errorf("%d: %q", len(got), got)
	}
}
