package parser

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/perch-go/perch/internal/jsonscan"
)

// An attachment is a binary message that follows its packet. In the packet's
// JSON its place is held by {"_placeholder":true,"num":<index>}.
const (
	placeholderKey = "_placeholder"
	indexKey       = "num"
)

func appendPlaceholder(dst []byte, index int) []byte {
	dst = append(dst, `{"`+placeholderKey+`":true,"`+indexKey+`":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	return append(dst, '}')
}

// checkPlaceholders walks the well-formed JSON value at b[i] and refuses every
// placeholder that does not name one of n attachments (CVE-2022-2421). Its
// index must be written as a plain integer; the reference would also take 0.5,
// and hand the application no buffer. Depth was bounded by the scanner.
func checkPlaceholders(b []byte, i, n int) (int, error) {
	if b[i] != '{' && b[i] != '[' {
		return jsonscan.Value(b, i, 0, 0)
	}
	object := b[i] == '{'
	start := i
	marked := false
	var index []byte // of the last "num": duplicates are read as JSON.parse reads them
	for i = jsonscan.SkipSpace(b, i+1); b[i] != '}' && b[i] != ']'; i = jsonscan.SkipSpace(b, i) {
		if b[i] == ',' {
			i = jsonscan.SkipSpace(b, i+1)
		}
		var key []byte
		if object {
			at := i
			var err error
			if i, err = jsonscan.Key(b, i); err != nil {
				return i, err
			}
			key = b[at:i]
		}
		at := i
		var err error
		if i, err = checkPlaceholders(b, i, n); err != nil {
			return i, err
		}
		switch {
		case keyIs(key, placeholderKey):
			marked = string(b[at:i]) == "true"
		case keyIs(key, indexKey):
			index = b[at:i]
		}
	}
	if marked {
		if k, err := strconv.ParseUint(string(index), 10, 31); err != nil || int(k) >= n {
			return start, ErrPlaceholder
		}
	}
	return i + 1, nil
}

// keyIs reports whether key, a JSON string and perhaps more, spells name.
func keyIs(key []byte, name string) bool {
	if len(key) < len(name)+2 {
		return false
	}
	key = key[:bytes.LastIndexByte(key, '"')+1]
	if jsonscan.HasEscape(key) {
		plain, _ := jsontext.AppendUnquote(nil, key)
		return string(plain) == name
	}
	return string(key[1:len(key)-1]) == name
}

var (
	errNoAttachment = errors.New("placeholder names no attachment of the packet")
	errBytesWanted  = errors.New("an attachment or base64 text is wanted")
)

// readBytes reads what stands for bytes: a placeholder, base64 text, or null.
// An attachment is not copied, but appending to it will not touch what follows.
func readBytes(dec *jsontext.Decoder, attachments [][]byte) ([]byte, error) {
	switch dec.PeekKind() {
	case jsontext.KindNull:
		return nil, dec.SkipValue()
	case jsontext.KindString:
		text, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		return base64.StdEncoding.DecodeString(text.String())
	case jsontext.KindBeginObject:
		return readPlaceholder(dec, attachments)
	default:
		if err := dec.SkipValue(); err != nil {
			return nil, err
		}
		return nil, errBytesWanted
	}
}

func readPlaceholder(dec *jsontext.Decoder, attachments [][]byte) ([]byte, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	marked, index := false, -1
	for dec.PeekKind() != jsontext.KindEndObject {
		key, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := key.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		switch name {
		case placeholderKey:
			marked = string(value) == "true"
		case indexKey:
			if index, err = strconv.Atoi(string(value)); err != nil {
				index = -1
			}
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if !marked {
		return nil, errBytesWanted
	}
	return attachment(attachments, index)
}

func attachment(attachments [][]byte, index int) ([]byte, error) {
	if index < 0 || index >= len(attachments) {
		return nil, errNoAttachment
	}
	a := attachments[index]
	return a[:len(a):len(a)], nil
}

// readAny reads a value of no particular type, as json/v2 does, but with
// attachments as []byte.
func readAny(dec *jsontext.Decoder, attachments [][]byte) (any, error) {
	switch dec.PeekKind() {
	case jsontext.KindBeginObject:
		return readAnyObject(dec, attachments)
	case jsontext.KindBeginArray:
		return readAnyArray(dec, attachments)
	}
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case jsontext.KindNull:
		return nil, nil
	case jsontext.KindString:
		return token.String(), nil
	case jsontext.KindNumber:
		return strconv.ParseFloat(token.String(), 64)
	default:
		return token.Bool(), nil
	}
}

func readAnyObject(dec *jsontext.Decoder, attachments [][]byte) (any, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	object := make(map[string]any)
	for dec.PeekKind() != jsontext.KindEndObject {
		key, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := key.String()
		if object[name], err = readAny(dec, attachments); err != nil {
			return nil, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if object[placeholderKey] != true {
		return object, nil
	}
	index, ok := object[indexKey].(float64)
	if !ok || index != float64(int(index)) {
		return nil, errNoAttachment
	}
	return attachment(attachments, int(index))
}

func readAnyArray(dec *jsontext.Decoder, attachments [][]byte) (any, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	array := []any{}
	for dec.PeekKind() != jsontext.KindEndArray {
		value, err := readAny(dec, attachments)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := dec.ReadToken()
	return array, err
}

// setBytes stores b in target, a pointer to a byte slice or byte array type.
func setBytes(target reflect.Value, b []byte) error {
	target = target.Elem()
	if target.Kind() == reflect.Slice {
		target.SetBytes(b)
		return nil
	}
	if len(b) != target.Len() && b != nil {
		return fmt.Errorf("%d bytes do not fill an array of %d", len(b), target.Len())
	}
	target.SetZero()
	reflect.Copy(target, reflect.ValueOf(b))
	return nil
}
