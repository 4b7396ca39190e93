package jsonscan

import "unicode/utf8"

// AppendString appends s as JSON.stringify writes it: nothing is escaped that need
// not be, and invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	b := []byte(s) // never written to, so this is no copy
	dst = append(dst, '"')
	for i := 0; ; {
		start := i
		i = SkipPlain(b, i)
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			return append(dst, '"')
		}
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
			i++
		case '\b':
			dst = append(dst, `\b`...)
			i++
		case '\f':
			dst = append(dst, `\f`...)
			i++
		case '\n':
			dst = append(dst, `\n`...)
			i++
		case '\r':
			dst = append(dst, `\r`...)
			i++
		case '\t':
			dst = append(dst, `\t`...)
			i++
		default:
			if c < 0x20 {
				const hex = "0123456789abcdef"
				dst = append(dst, `\u00`...)
				dst = append(dst, hex[c>>4], hex[c&15])
				i++
				break
			}
			for i < len(s) && s[i] >= utf8.RuneSelf {
				r, size := utf8.DecodeRuneInString(s[i:])
				dst = utf8.AppendRune(dst, r)
				i += size
			}
		}
	}
}
