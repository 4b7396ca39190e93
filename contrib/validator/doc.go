// Package validator checks the payloads of gateways by struct tags, those of
// [github.com/go-playground/validator/v10], as Nest's ValidationPipe does by decorators:
//
//	type Message struct {
//		Room string `json:"room" validate:"required,max=20"`
//		Text string `json:"text" validate:"required"`
//	}
//
//	app, err := perch.New(perch.WithGateways(g), perch.WithPipes(validator.Pipe()))
//
// A client whose payload does not pass is answered with code INVALID, a message that says
// all that is wrong, and as details a list of {path, rule, message}. Paths and messages
// name fields as JSON does.
//
// It is a module of its own, so that who does not need it does not compile it.
package validator
