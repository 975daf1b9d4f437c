// Command toy reaches what a program reaches.
package main

import (
	"fmt"

	"toy/kind"
)

func main() {
	var s fmt.Stringer = kind.Used{Field: 1}
	fmt.Println(s, kind.Spoken(kind.Used{}), kind.Second)
}
