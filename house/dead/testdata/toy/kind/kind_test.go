package kind_test

import (
	"testing"

	"toy/kind"
	"toy/kindtest"
)

type idle struct{} // dead

func TestKind(t *testing.T) {
	kind.Tried()
	kind.Kept()
	kindtest.Run()
}
