package main

import (
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
)

// flagValues read what stands behind a flag, so that what is wrong with it is told in
// plain words, as it is of files.
func flagValues() []kong.Option {
	value := func(expected string, read func(text string, bits int, into reflect.Value) error) kong.Mapper {
		return kong.MapperFunc(func(c *kong.DecodeContext, into reflect.Value) error {
			var text string
			if err := c.Scan.PopValueInto("value", &text); err != nil {
				return err
			}
			if err := read(text, int(into.Type().Size())*8, into); err != nil {
				return fmt.Errorf("%.60q: expected %s", text, expected)
			}
			return nil
		})
	}
	whole := value("a whole number that fits", func(text string, bits int, into reflect.Value) error {
		n, err := strconv.ParseInt(text, 10, bits)
		into.SetInt(n)
		return err
	})
	counting := value("a whole number, 0 or above", func(text string, bits int, into reflect.Value) error {
		n, err := strconv.ParseUint(text, 10, bits)
		into.SetUint(n)
		return err
	})
	options := []kong.Option{
		kong.TypeMapper(reflect.TypeFor[time.Duration](), value("a duration such as 15m or 36h", func(text string, _ int, into reflect.Value) error {
			d, err := time.ParseDuration(text)
			into.SetInt(int64(d))
			return err
		})),
		kong.KindMapper(reflect.Float64, value("a number such as 0.05", func(text string, bits int, into reflect.Value) error {
			n, err := strconv.ParseFloat(text, bits)
			into.SetFloat(n)
			return err
		})),
	}
	for _, kind := range []reflect.Kind{reflect.Int, reflect.Int32, reflect.Int64} {
		options = append(options, kong.KindMapper(kind, whole))
	}
	for _, kind := range []reflect.Kind{reflect.Uint32, reflect.Uint64} {
		options = append(options, kong.KindMapper(kind, counting))
	}
	return options
}
