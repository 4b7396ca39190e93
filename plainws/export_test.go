package plainws

import "github.com/perch-go/perch/socketio/parser"

// ParserOf is what a server makes of frames by.
func ParserOf(c Codec) parser.Parser { return wire{c} }
