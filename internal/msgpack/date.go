package msgpack

import (
	"fmt"
	"time"
)

// maxSeconds is how far JavaScript's dates go, to either side of 1970.
const maxSeconds = 8_640_000_000_000

// appendMillis appends the date so many milliseconds after 1970.
func appendMillis(dst []byte, ms int64) []byte {
	sec, part := ms/1000, ms%1000
	if part < 0 {
		sec, part = sec-1, part+1000
	}
	return appendDate(dst, sec, uint32(part)*1_000_000)
}

// appendDate appends a date as Date.toJSON writes it.
func appendDate(dst []byte, sec int64, nsec uint32) []byte {
	if nsec >= 1_000_000_000 || sec > maxSeconds || sec < -maxSeconds || sec == maxSeconds && nsec > 0 {
		return append(dst, "null"...)
	}
	t := time.Unix(sec, int64(nsec)).UTC()
	dst = append(dst, '"')
	if year := t.Year(); year >= 0 && year <= 9999 {
		dst = t.AppendFormat(dst, "2006")
	} else {
		dst = fmt.Appendf(dst, "%+07d", year)
	}
	layout := "-01-02T15:04:05.000Z"
	if nsec%1_000_000 != 0 {
		layout = "-01-02T15:04:05.000000000Z"
	}
	dst = t.AppendFormat(dst, layout)
	return append(dst, '"')
}
