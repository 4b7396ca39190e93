//go:build !goexperiment.jsonv2 || go1.27

package parser

import "errors"

// errSkip, returned by a marshaler function, leaves the value to json/v2.
var errSkip = errors.ErrUnsupported
