package claim

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// DecodeYAML reads a file into structs with yaml tags, as strictly as ReadYAML. Whatever
// decodes itself from text does. check says what else is wrong with what was read, with the
// field first, as "keys[1].public: ..."; nil: nothing is.
func DecodeYAML(file string, data []byte, most int, expected string, into any, check func() error) error {
	top, err := ReadYAML(file, data, most, expected)
	if err != nil {
		return err
	}
	top.into(reflect.ValueOf(into).Elem())
	if err := top.Err(); err != nil || check == nil {
		return err
	}
	if err := check(); err != nil {
		return top.locate(err)
	}
	return nil
}

func (v YAML) into(to reflect.Value) {
	if v.Missing() {
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		v.into(to.Elem())
		return
	case reflect.Slice:
		items := v.Items()
		to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
		for i, item := range items {
			item.into(to.Index(i))
		}
		return
	case reflect.Map:
		to.Set(reflect.MakeMap(to.Type()))
		fields := v.Fields()
		for _, name := range fields.Names {
			one := reflect.New(to.Type().Elem()).Elem()
			if field, ok := fields.Optional(name); ok {
				field.into(one)
			}
			to.SetMapIndex(reflect.ValueOf(name), one)
		}
		return
	case reflect.Struct:
		if to.Type() == reflect.TypeFor[time.Time]() {
			break
		}
		fields := v.Fields()
		for i := range to.NumField() {
			name, _, _ := strings.Cut(to.Type().Field(i).Tag.Get("yaml"), ",")
			if name == "" {
				continue
			}
			if field, ok := fields.Optional(name); ok {
				field.into(to.Field(i))
			}
		}
		fields.Done()
		return
	case reflect.Bool:
		to.SetBool(v.Bool())
		return
	}
	text, ok := v.Plain()
	if !ok {
		v.Fail("expected %s, found %s", wanted(to), v.Found())
		return
	}
	if err := setText(to, text); err != nil {
		v.Fail("%v", err)
	}
}

// dates are the forms in which a time may be written.
var dates = [...]string{time.RFC3339Nano, time.DateTime, time.DateOnly}

// wanted is what a file is to have for a value.
func wanted(to reflect.Value) string {
	switch to.Interface().(type) {
	case time.Time:
		return "a time such as 2026-04-01T07:00:00Z"
	case time.Duration:
		return "a duration such as 500ms, 15m or 36h"
	}
	if to.Kind() == reflect.Int {
		return "a whole number"
	}
	return "one value"
}

func setText(to reflect.Value, text string) error {
	wrong := func() error { return fmt.Errorf("%.40q: expected %s", text, wanted(to)) }
	switch into := to.Addr().Interface().(type) {
	case *time.Time:
		for _, layout := range dates {
			if t, err := time.Parse(layout, text); err == nil {
				*into = t
				return nil
			}
		}
		return wrong()
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong()
		}
		*into = d
		return nil
	case encoding.TextUnmarshaler:
		return into.UnmarshalText([]byte(text))
	}
	switch to.Kind() {
	case reflect.String:
		to.SetString(text)
		return nil
	case reflect.Int:
		n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
		if err != nil {
			return wrong()
		}
		to.SetInt(int64(n))
		return nil
	}
	panic("claim: YAML can't be read into " + to.Type().String())
}
