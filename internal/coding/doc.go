// Package coding chooses and applies the content codings of HTTP answers: gzip and deflate, as the
// client's Accept-Encoding wants them (RFC 9110, section 12.5.3).
package coding
