package msgpack

// The functions of this file read JSON (RFC 8259). Each takes the index where something begins and returns the index behind
// it or, with an error, where the error is.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// scanString reads the string whose quote opens at i.
func scanString(b []byte, i int) (int, error) {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n := escapeSize(b[i:])
			if n == 0 {
				return i, ErrJSON
			}
			i += n - 1
		case c < 0x20:
			return i, ErrJSON
		}
	}
	return i, ErrJSON
}

// escapeSize is the length of the escape sequence b begins with, 0 if it is none.
func escapeSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if c-'0' > 9 && (c|0x20)-'a' > 5 {
				return 0
			}
		}
		return 6
	}
	return 0
}

// scanScalar reads a number, true, false or null.
func scanScalar(b []byte, i int) (int, error) {
	for _, word := range [...]string{"true", "false", "null"} {
		if b[i] != word[0] {
			continue
		}
		if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
			return i, ErrJSON
		}
		return i + len(word), nil
	}
	return scanNumber(b, i)
}

func scanNumber(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	end := digits(b, i)
	if end == i || b[i] == '0' && end > i+1 {
		return i, ErrJSON
	}
	if i = end; i < len(b) && b[i] == '.' {
		if end = digits(b, i+1); end == i+1 {
			return end, ErrJSON
		}
		i = end
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if end = digits(b, i); end == i {
			return i, ErrJSON
		}
		i = end
	}
	return i, nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
