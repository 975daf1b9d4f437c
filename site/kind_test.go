package site

import (
	"reflect"
	"testing"
)

// TestDifference: whatever of a kind is changed is named, with what it was and would be.
func TestDifference(t *testing.T) {
	k := Kind{ID: "H100", Drives: 8}
	for i := range reflect.TypeFor[Kind]().NumField() {
		next := k
		switch f := reflect.ValueOf(&next).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("other")
		case reflect.Int:
			f.SetInt(4)
		case reflect.Bool:
			f.SetBool(true)
		default:
			f.Set(reflect.ValueOf(Model{"other", "1"}))
		}
		name := reflect.TypeFor[Kind]().Field(i).Name
		if what, was, is := k.difference(next); name != "ID" && (was == is || what == "kind H100") {
			t.Errorf("%s: %q was %q and is %q", name, what, was, is)
		}
	}
}
