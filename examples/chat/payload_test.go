package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/perch-go/perch"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxName)
	for _, tt := range []struct {
		payload perch.Validator
		field   string // that is wrong
	}{
		{Join{"r", "n"}, ""},
		{Join{long, long}, ""},
		{Join{"", "n"}, "room"},
		{Join{"r", ""}, "name"},
		{Join{"r", " \u00a0"}, "name"},
		{Join{"r\n", "n"}, "room"},
		{Join{long + "é", "n"}, "room"},
		{Post{"r", "x"}, ""},
		{Post{"r", strings.Repeat("é", maxText)}, ""},
		{Post{"r", strings.Repeat("é", maxText) + "x"}, "text"},
		{Post{"r", ""}, "text"},
		{Post{"", "x"}, "room"},
		{InRoom{"r"}, ""},
		{InRoom{}, "room"},
		{Recall{"r", ""}, ""},
		{Recall{"", "x"}, "room"},
		{&Upload{"r", "n", make([]byte, maxUpload)}, ""},
		{&Upload{"r", "n", make([]byte, maxUpload+1)}, "data"},
		{&Upload{"r", "n", nil}, "data"},
		{&Upload{"r", "", []byte{0}}, "name"},
		{&Upload{"", "n", []byte{0}}, "room"},
	} {
		err := tt.payload.Validate()
		var e *perch.Error
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%T %.40v: %v", tt.payload, tt.payload, err)
		case tt.field != "" && (!errors.As(err, &e) || e.Code != perch.CodeInvalid || !strings.HasPrefix(e.Message, tt.field+" ")):
			t.Errorf("%T %.40v: %v, want %s to be wrong", tt.payload, tt.payload, err, tt.field)
		}
	}
}
