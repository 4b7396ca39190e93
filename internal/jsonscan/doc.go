// Package jsonscan reads JSON (RFC 8259, exactly what JSON.parse accepts) and
// builds nothing. Each function takes the index where something begins and
// returns the index behind it or, with an error, where the error is.
//
// It keeps nothing, so everything may be called concurrently.
package jsonscan
