package engineio

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Spec 3.3: JSONP. Polls are answered with a script, posts are forms.
func TestJSONP(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{AllowEIO3: true, CORS: &CORS{Origins: []string{"*"}}}, true)
	defer f.close()
	_, body, h := f.do("GET", base3+"&b64=1&j=7alert(1)", "")
	open, begins := strings.CutPrefix(body, `___eio[71]("`)
	open, ends := strings.CutSuffix(open, `");`)
	if !begins || !ends || h.Get("Content-Type") != "text/javascript; charset=UTF-8" {
		t.Fatalf("handshake %q as %s", body, h.Get("Content-Type"))
	}
	packet, rest, err := cutText3([]byte(strings.ReplaceAll(open, `\"`, `"`)))
	if err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", open, err)
	}
	target := base3 + "&j=71&sid=" + openID(t, string(packet))
	for _, tt := range []struct{ payload, want string }{
		{"6:4hello", `6:4hello`},
		{"4:4\U0001f600\u00e9", `4:4` + "\U0001f600\u00e9"},
		{"8:4\"\\\u2028\u2029\t</", `8:4\"\\\u2028\u2029\u0009</`},
		{"5:4a\nb\n", `5:4a\u000ab\u000a`},
		{`6:4["\n"`, `6:4[\"\\n\"`},
		{`7:4[\\n\n`, `7:4[\\\\n\\n`},
		{"6:b4eHk=", `6:b4eHk=`},
	} {
		// What the client does before it submits the form.
		value := strings.ReplaceAll(strings.ReplaceAll(tt.payload, `\n`, "\\\n"), "\n", `\n`)
		status, body, _ := f.do("POST", target, url.Values{"d": {value}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		if status != 200 || body != "ok" {
			t.Fatalf("post %q: %d %q", tt.payload, status, body)
		}
		if _, body, _ := f.do("GET", target, ""); body != `___eio[71]("`+tt.want+`");` {
			t.Errorf("echo of %q is %s", tt.payload, body)
		}
	}
	if status, _, _ := f.do("POST", target, "d=4:4%ff"); status != 400 {
		t.Errorf("a form that is not UTF-8: %d", status)
	}
}

// A page may run scripts of any origin, and read what they hand over; so JSONP needs to know where a request comes from.
func TestJSONPOrigins(t *testing.T) {
	t.Parallel()
	listed := &CORS{Origins: []string{"https://app.example"}}
	for _, tt := range []struct {
		name   string
		cors   *CORS
		header []string
		ok     bool
	}{
		{"unknown", nil, nil, false},
		{"unknown to a list", listed, nil, false},
		{"anybody", &CORS{Origins: []string{"*"}}, nil, true},
		{"same origin", nil, []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"another site", nil, []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"same host in the referer", nil, []string{"Referer", "http://perch.test/page?x"}, true},
		{"another in the referer", nil, []string{"Referer", "https://app.example/page"}, false},
		{"listed in the referer", listed, []string{"Referer", "https://app.example/page", "Sec-Fetch-Site", "cross-site"}, true},
		{"another than listed", listed, []string{"Referer", "https://evil.example/", "Sec-Fetch-Site", "cross-site"}, false},
		{"listed origin", listed, []string{"Origin", "https://app.example"}, true},
		{"another origin", listed, []string{"Origin", "https://evil.example"}, false},
	} {
		f := newFixture(t, Options{AllowEIO3: true, CORS: tt.cors}, true)
		status, body, _ := f.do("GET", base3+"&j=0", "", tt.header...)
		want := `{"code":4,"message":"Forbidden: list the page's origin in CORS.Origins, and let it send a Referer"}`
		if slices.Contains(tt.header, "Origin") {
			want = `{"code":4,"message":"Forbidden: list this origin in CORS.Origins"}`
		}
		if ok := status == 200; ok != tt.ok || !ok && body != want {
			t.Errorf("%s: %d %s", tt.name, status, body)
		}
		f.close()
	}
}

// The reference takes a form's payload apart with two regular expressions; ours gives the same for every short text.
func TestUnescapeForm(t *testing.T) {
	t.Parallel()
	single, double := regexp.MustCompile(`(\\)?\\n`), regexp.MustCompile(`\\\\n`)
	texts := []string{""}
	for range 8 {
		for _, text := range texts[max(0, len(texts)-6561):] {
			for _, c := range []string{`\`, "n", "x"} {
				texts = append(texts, text+c)
			}
		}
	}
	for _, text := range texts {
		want := single.ReplaceAllStringFunc(text, func(match string) string {
			if len(match) == 3 {
				return match
			}
			return "\n"
		})
		want = double.ReplaceAllString(want, `\n`)
		if got := string(unescapeForm([]byte("x=1&d=" + url.QueryEscape(text)))); got != want {
			t.Fatalf("%q is %q, want %q", text, got, want)
		}
	}
}

// Whatever the body, a form is taken apart without panic, and what the client of 2.x has escaped comes out as it was.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "5:4[\"x\"]", "a\nb", `a\nb`, `\`, `\\n`, "é + & = %", "d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		unescapeForm([]byte(s))
		unescapeForm([]byte("d=" + s))
		if strings.Contains(s, "\\\n") {
			return // the client's escaping does not tell it from \n
		}
		escaped := strings.ReplaceAll(strings.ReplaceAll(s, `\n`, "\\\n"), "\n", `\n`)
		if got := unescapeForm([]byte("d=" + url.QueryEscape(escaped))); string(got) != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
