package validator

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/locales/en"
	ut "github.com/go-playground/universal-translator"
	playground "github.com/go-playground/validator/v10"
	translations "github.com/go-playground/validator/v10/translations/en"

	"github.com/perch-go/perch"
)

// FieldError is a plain value: one field that does not pass.
type FieldError struct {
	Path    string `json:"path"` // from the payload on, such as "lines[2].text"
	Rule    string `json:"rule"` // the tag, such as "max"
	Message string `json:"message"`
}

// Pipe is the pipe, with the tags that the library knows by itself.
func Pipe() perch.Pipe { return PipeWith(playground.New(playground.WithRequiredStructEnabled())) }

// PipeWith is the pipe of a validator that has been taught more, which belongs to it from
// then on: messages and names are set.
func PipeWith(v *playground.Validate) perch.Pipe {
	v.RegisterTagNameFunc(jsonName)
	locale := en.New()
	translator, _ := ut.New(locale, locale).GetTranslator(locale.Locale())
	// It fails only if a message is registered twice; then the first stays.
	_ = translations.RegisterDefaultTranslations(v, translator)
	c := &checker{v, translator}
	return perch.PipeFunc(func(ctx context.Context, _ *perch.ExecutionContext, payload any) error {
		return c.check(ctx, payload)
	})
}

// checker is safe for concurrent use.
type checker struct {
	validate   *playground.Validate
	translator ut.Translator
}

// check looks at a payload that is a struct, or has structs in a slice, an array or a map; nothing else can have tags.
func (c *checker) check(ctx context.Context, payload any) error {
	v := reflect.ValueOf(payload)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	var err error
	switch v.Kind() {
	case reflect.Struct:
		err = c.validate.StructCtx(ctx, v.Addr().Interface())
	case reflect.Slice, reflect.Array, reflect.Map:
		err = c.validate.VarCtx(ctx, v.Interface(), "dive")
	default:
		return nil
	}
	var wrong playground.ValidationErrors
	if !errors.As(err, &wrong) {
		var invalid *playground.InvalidValidationError
		if errors.As(err, &invalid) {
			return nil // elements without tags
		}
		return err
	}
	fields := make([]FieldError, len(wrong))
	messages := make([]string, len(wrong))
	for i, w := range wrong {
		fields[i] = FieldError{Path: path(w), Rule: w.Tag(), Message: c.message(w)}
		messages[i] = fields[i].Message
	}
	return &perch.Error{Code: perch.CodeInvalid, Message: strings.Join(messages, "; "), Details: fields}
}

// message is the library's, or for a tag that it has no words for, the tag.
func (c *checker) message(w playground.FieldError) string {
	if text := w.Translate(c.translator); !strings.HasPrefix(text, "Key: ") {
		return text
	}
	rule := w.Tag()
	if w.Param() != "" {
		rule += "=" + w.Param()
	}
	return fmt.Sprintf("%s does not pass %s", w.Field(), rule)
}

// path is where a field stands, without the name of the payload's type.
func path(w playground.FieldError) string {
	_, inner, ok := strings.Cut(w.Namespace(), ".")
	if !ok {
		return w.Namespace()
	}
	if strings.HasPrefix(w.Namespace(), "[") { // an element of a slice
		return w.Namespace()
	}
	return inner
}

// jsonName is a field's name in JSON.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" || name == "" {
		return f.Name
	}
	return name
}
