//go:build goexperiment.jsonv2 && !go1.27

package parser

import "encoding/json/v2"

// errSkip, returned by a marshaler function, leaves the value to json/v2. In a
// Go 1.26 built with its experimental json/v2 the module hands over to that,
// which is older and has a sentinel of its own.
var errSkip = json.SkipFunc
