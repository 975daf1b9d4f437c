package claim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxDepth is how deep JSON may nest where evidence is read.
const MaxDepth = 32

// Weigher is a type whose text takes more memory than its length says, such as a
// set that is written as ranges.
type Weigher interface {
	Weigh(text []byte) int64 // bytes that reading it takes, at most; asked of a zero value
}

// Exact decodes JSON of at most so many bytes that can be read in one way only: a key stands once in its
// object and is spelled as the field is, no key is unknown, nothing follows, text is
// UTF-8 and holds nothing that steers a terminal (see Plain). encoding/json alone
// takes "Tenant" for "tenant" and the last of two, so that two readers could read two
// things out of what one of them signed. Errors name the key.
//
// The form of a type is learnt once in a process.
func Exact(data []byte, most int, into any) error {
	if len(data) > most {
		return fmt.Errorf("%d bytes: at most %d are taken", len(data), most)
	}
	return (&Shape{of: formOf(reflect.TypeOf(into))}).Decode(data, into)
}

// Shape is the keys that the JSON of a type may have. It never changes.
type Shape struct{ of *form }

// ShapeOf is the shape of a type.
func ShapeOf[T any]() *Shape { return &Shape{of: formOf(reflect.TypeFor[T]())} }

// Decode is Exact for a value of the shape's type.
func (s *Shape) Decode(data []byte, into any) error {
	if _, err := s.Weigh(data); err != nil {
		return err
	}
	err := json.Unmarshal(data, into)
	var at *time.ParseError
	if errors.As(err, &at) {
		return fmt.Errorf("expected a time such as \"2026-04-01T07:00:00Z\", found %.40q", at.Value)
	}
	var of *json.UnmarshalTypeError
	if !errors.As(err, &of) {
		return err
	}
	where := fmt.Sprintf("byte %d", of.Offset)
	if of.Field != "" {
		where = of.Field
	}
	return fmt.Errorf("%s: expected %s, found %.60s", where, jsonWanted(of.Type), of.Value)
}

// jsonWanted is what JSON is to have for a type, in plain words.
func jsonWanted(of reflect.Type) string {
	if of == reflect.TypeFor[time.Duration]() {
		return "a whole number of nanoseconds"
	}
	switch of.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text in quotes"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, 0 or above, that fits"
	}
	return "a whole number that fits"
}

// Weigh makes the checks of Exact without decoding, and returns how many bytes of
// memory decoding into a type will take at most: a list of empty objects takes a
// hundred times its own length.
// Cost: about 3 ns a byte, and no memory that grows with data but for the keys of an
// object that is no struct.
func (s *Shape) Weigh(data []byte) (int64, error) {
	w := walker{data: data, weight: s.of.inside}
	if err := w.value(s.of, 0); err != nil {
		return 0, err
	}
	w.space()
	if w.at != len(data) {
		return 0, errors.New("trailing data")
	}
	return w.weight, nil
}

// opaque is what a byte of JSON may come to where a type decodes itself.
const opaque = 24

type walker struct {
	data   []byte
	at     int
	weight int64
}

var errCutOff = errors.New("the JSON is cut off")

func (w *walker) space() {
	for w.at < len(w.data) {
		switch w.data[w.at] {
		case ' ', '\n', '\t', '\r':
			w.at++
		default:
			return
		}
	}
}

func (w *walker) take(c byte) error {
	w.space()
	if w.at == len(w.data) {
		return errCutOff
	}
	if w.data[w.at] != c {
		return fmt.Errorf("byte %d: %q where %q was expected", w.at, w.data[w.at], c)
	}
	w.at++
	return nil
}

// next says whether another member follows, or the end of the list.
func (w *walker) next(end byte) (bool, error) {
	w.space()
	if w.at == len(w.data) {
		return false, errCutOff
	}
	switch w.data[w.at] {
	case end:
		w.at++
		return false, nil
	case ',':
		w.at++
		return true, nil
	}
	return false, fmt.Errorf("byte %d: %q where , or %q was expected", w.at, w.data[w.at], end)
}

// value walks one value of a form; nil is any type.
func (w *walker) value(of *form, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("byte %d: nested more than %d deep", w.at, MaxDepth)
	}
	w.space()
	if w.at == len(w.data) {
		return errCutOff
	}
	begin := w.at
	if of != nil {
		if of.pointer {
			w.weight += of.inside
		}
		if of.decodesItself {
			of = nil
		}
	}
	var err error
	switch w.data[w.at] {
	case '{':
		err = w.object(of, depth)
	case '[':
		err = w.list(of, depth)
	case '"':
		var text []byte
		if text, err = w.text(); err == nil && of != nil && of.weigher != nil {
			w.weight += of.weigher.Weigh(text)
		}
		w.weight += int64(len(text))
	default:
		for w.at < len(w.data) && !strings.ContainsRune(",]} \n\t\r", rune(w.data[w.at])) {
			w.at++
		}
		if w.at == begin {
			return fmt.Errorf("byte %d: %q where a value was expected", w.at, w.data[w.at])
		}
		if w.at-begin > 64 {
			return fmt.Errorf("byte %d: a number of %d digits", begin, w.at-begin)
		}
	}
	if of == nil && depth > 0 {
		w.weight += opaque
	}
	return err
}

func (w *walker) list(list *form, depth int) error {
	w.at++
	var of *form
	each := int64(opaque)
	if list != nil && list.kind == aList {
		of = list.each
		each = 2 * of.size // it doubles as it grows
	}
	w.space()
	if w.at < len(w.data) && w.data[w.at] == ']' {
		w.at++
		return nil
	}
	for more := true; more; {
		w.weight += each
		if err := w.value(of, depth+1); err != nil {
			return err
		}
		var err error
		if more, err = w.next(']'); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) object(object *form, depth int) error {
	w.at++
	var names map[string]*form
	var of *form
	if object != nil {
		names = object.fields
		if object.kind == aMap {
			of = object.each
			w.weight += of.size
		}
	}
	w.space()
	if w.at < len(w.data) && w.data[w.at] == '}' {
		w.at++
		return nil
	}
	var seen seenKeys
	for more := true; more; {
		w.space()
		if w.at == len(w.data) {
			return errCutOff
		}
		if w.data[w.at] != '"' {
			return fmt.Errorf("byte %d: %q where a key was expected", w.at, w.data[w.at])
		}
		key, err := w.text()
		if err != nil {
			return err
		}
		if names != nil {
			field, known := names[string(key)]
			if !known {
				return strange(key, names)
			}
			of = field
		} else {
			w.weight += 4*opaque + int64(len(key))
		}
		if seen.again(key) {
			return fmt.Errorf("key %.60q stands twice in one object", key)
		}
		if err := w.take(':'); err != nil {
			return err
		}
		if err := w.value(of, depth+1); err != nil {
			return err
		}
		if more, err = w.next('}'); err != nil {
			return err
		}
	}
	return nil
}

func strange(key []byte, names map[string]*form) error {
	for name := range names {
		if strings.EqualFold(name, string(key)) {
			return fmt.Errorf("key %.60q: it is spelled %q", key, name)
		}
	}
	return fmt.Errorf("unknown field %.60q", key)
}

// seenKeys are the keys of one object: most have few.
type seenKeys struct {
	few  [][]byte
	many map[string]struct{}
	room [16][]byte
}

func (s *seenKeys) again(key []byte) bool {
	if s.many != nil {
		_, again := s.many[string(key)]
		s.many[string(key)] = struct{}{}
		return again
	}
	if s.few == nil {
		s.few = s.room[:0]
	}
	for _, k := range s.few {
		if bytes.Equal(k, key) {
			return true
		}
	}
	if s.few = append(s.few, key); len(s.few) == len(s.room) {
		s.many = make(map[string]struct{}, 2*len(s.room))
		for _, k := range s.few {
			s.many[string(k)] = struct{}{}
		}
	}
	return false
}

// text walks a string and returns what it says.
func (w *walker) text() ([]byte, error) {
	begin := w.at
	w.at++
	plain := true
	for ; ; w.at++ {
		if w.at >= len(w.data) {
			return nil, errCutOff
		}
		c := w.data[w.at]
		if c == '"' {
			break
		}
		if c == '\\' {
			plain = false
			w.at++
		} else if c < ' ' || c >= 0x7f {
			plain = false
		}
	}
	inside := w.data[begin+1 : w.at]
	w.at++
	if plain {
		return inside, nil
	}
	if !utf8.Valid(inside) {
		return nil, fmt.Errorf("byte %d: the text is not UTF-8", begin)
	}
	if bytes.IndexByte(inside, '\\') >= 0 {
		var text string
		if err := json.Unmarshal(w.data[begin:w.at], &text); err != nil {
			return nil, fmt.Errorf("byte %d: %w", begin, err)
		}
		inside = []byte(text)
	}
	if r, bad := firstControl(inside); bad {
		return nil, fmt.Errorf("byte %d: the text %.60q holds the control character %U, which no text of a log may", begin, inside, r)
	}
	return inside, nil
}
