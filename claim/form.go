package claim

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// form is what a walker of JSON has to know of a Go type, looked up once: asking
// reflect at every value takes longer than the walk.
type form struct {
	kind          kind
	size          int64 // bytes of a value
	pointer       bool  // it is a pointer, and inside is what it points to
	inside        int64 // bytes of a value, or of what it points to
	decodesItself bool  // any JSON may be right
	weigher       Weigher
	fields        map[string]*form // of a struct, by key; nil: any key
	each          *form            // of a list or a map
}

type kind uint8

const (
	other kind = iota
	aList
	aMap
)

var (
	selfDecoding = reflect.TypeFor[json.Unmarshaler]()
	fromText     = reflect.TypeFor[encoding.TextUnmarshaler]()
	weighing     = reflect.TypeFor[Weigher]()
)

// forms are those learnt so far: as many as a program has types that it decodes.
var forms = struct {
	sync.RWMutex
	of map[reflect.Type]*form
}{of: map[reflect.Type]*form{}}

func formOf(t reflect.Type) *form {
	forms.RLock()
	f := forms.of[t]
	forms.RUnlock()
	if f != nil {
		return f
	}
	forms.Lock()
	defer forms.Unlock()
	return learn(t)
}

// learn adds a type and all that it holds; the lock is held, so that nobody sees a
// form that is not whole.
func learn(t reflect.Type) *form {
	if f := forms.of[t]; f != nil {
		return f
	}
	inside := indirect(t)
	f := &form{size: int64(t.Size()), pointer: t.Kind() == reflect.Pointer, inside: int64(inside.Size())}
	forms.of[t] = f // before what it holds, which may hold it again
	to := reflect.PointerTo(inside)
	if to.Implements(weighing) {
		f.weigher = reflect.New(inside).Interface().(Weigher)
	}
	if f.decodesItself = inside.Kind() == reflect.Interface || to.Implements(selfDecoding); f.decodesItself {
		return f
	}
	switch inside.Kind() {
	case reflect.Slice, reflect.Array:
		f.kind, f.each = aList, learn(inside.Elem())
	case reflect.Map:
		f.kind, f.each = aMap, learn(inside.Elem())
	case reflect.Struct:
		if !to.Implements(fromText) {
			f.fields = map[string]*form{}
			for name, of := range fieldsOf(inside) {
				f.fields[name] = learn(of)
			}
		}
	}
	return f
}

func indirect(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fieldsOf is the types of a struct's fields, by the keys that JSON has for them.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	table := map[string]reflect.Type{}
	depths := map[string]int{}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		embedded := f.Anonymous && name == "" && indirect(f.Type).Kind() == reflect.Struct
		if !f.IsExported() || tag == "-" || embedded || hiddenBy(t, f) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if depth, twice := depths[name]; twice && depth <= len(f.Index) {
			continue
		}
		table[name], depths[name] = f.Type, len(f.Index)
	}
	return table
}

// hiddenBy says whether a promoted field lies below an embedded struct that is
// named, or left out, as a whole.
func hiddenBy(t reflect.Type, f reflect.StructField) bool {
	return slices.ContainsFunc(reflect.VisibleFields(t), func(p reflect.StructField) bool {
		name, _, _ := strings.Cut(p.Tag.Get("json"), ",")
		return p.Anonymous && name != "" && len(p.Index) < len(f.Index) && slices.Equal(p.Index, f.Index[:len(p.Index)])
	})
}
