package api

import (
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"

	"bulkhead/book"
)

// idLimit is how many bytes an id may have. Ids get into ledger frames, whose
// texts have one byte of length, together with what this package puts before
// and after them.
const idLimit = 128

// listLimit is how many numbers, texts or messages a list may have.
const listLimit = 64

// textLimits are the fields that are no ids, in bytes. Everything that a request
// says must fit into one ledger entry, with room for what is said beside it.
var textLimits = map[protoreflect.Name]int{
	"reason": 2000,
	"name":   200,
	"file":   4096,

	"public_key": 1024,
}

// checkTexts refuses a request with a text that no ledger entry could hold, or
// with control characters: a line end in an id would forge lines of what is
// signed over it. It is the one place, so that no method can forget it.
func checkTexts(m protoreflect.Message, path string) error {
	if len(m.GetUnknown()) > 0 {
		return &book.Refusal{Field: strings.TrimSuffix("request."+path, "."), Reason: "it has fields that this server does not know: what they ask for would be forgotten"}
	}
	var refused error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Kind() == protoreflect.Int64Kind:
			if n := v.List().Len(); n > listLimit {
				refused = &book.Refusal{Field: path + string(f.Name()), Reason: fmt.Sprintf("%d numbers, at most %d are taken", n, listLimit)}
			}
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			list := v.List()
			if n := list.Len(); n > listLimit {
				refused = &book.Refusal{Field: path + string(f.Name()), Reason: fmt.Sprintf("%d entries, at most %d are taken", n, listLimit)}
			}
			for i := 0; i < list.Len() && refused == nil; i++ {
				refused = checkTexts(list.Get(i).Message(), fmt.Sprintf("%s%s[%d].", path, f.Name(), i))
			}
		case f.IsList() && f.Kind() == protoreflect.StringKind:
			list := v.List()
			if n := list.Len(); n > listLimit {
				refused = &book.Refusal{Field: path + string(f.Name()), Reason: fmt.Sprintf("%d texts, at most %d are taken", n, listLimit)}
			}
			for i := 0; i < list.Len() && refused == nil; i++ {
				refused = checkText(path, f.Name(), list.Get(i).String())
			}
		case f.IsMap() || f.IsList():
			refused = &book.Refusal{Field: path + string(f.Name()), Reason: "lists in requests have no limits yet"}
		case f.Kind() == protoreflect.MessageKind:
			refused = checkTexts(v.Message(), path+string(f.Name())+".")
		case f.Kind() == protoreflect.StringKind:
			refused = checkText(path, f.Name(), v.String())
		}
		return refused == nil
	})
	return refused
}

func checkText(path string, name protoreflect.Name, text string) error {
	most, known := textLimits[name]
	if !known {
		most = idLimit
	}
	field := path + string(name)
	if len(text) > most {
		return &book.Refusal{Field: field, Reason: fmt.Sprintf("%d bytes, at most %d are taken", len(text), most)}
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return &book.Refusal{Field: field, Reason: "expected one line without control characters"}
	}
	return nil
}
