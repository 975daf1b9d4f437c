package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"bulkhead/claim"
)

// format is the flag with which every verb prints for a person or a program.
type format struct {
	Output string `short:"o" default:"table" enum:"table,json" help:"table, for people; json, for programs."`
}

// stdout is where results are written; what is not a result goes to remarks. Both write
// out what would steer a terminal: names, reasons and errors are often somebody else's.
var (
	stdout  io.Writer = &claim.Screen{W: os.Stdout}
	remarks io.Writer = &claim.Screen{W: os.Stderr}
)

// say writes a line whose arguments may be foreign text: none of them adds another line.
func say(w io.Writer, format string, args ...any) (int, error) {
	return fmt.Fprintf(w, format+"\n", claim.Lines(args)...)
}

// painted is where colours of our own are written: whatever is foreign in what goes
// there went through claim.Line.
func painted(colour bool) io.Writer {
	if screen, is := stdout.(*claim.Screen); is && colour {
		return screen.W
	}
	return stdout
}

// below explains an error. Where its second and further lines are not indented, it does
// so: none of them is taken for a line of ours.
func below(err error) string {
	lines := strings.Split(claim.Shown(explain(err).Error()), "\n")
	for i := 1; i < len(lines); i++ {
		if text := lines[i]; text != "" && text[0] != ' ' && text[0] != '>' {
			lines[i] = "  " + text
		}
	}
	return strings.Join(lines, "\n")
}

// print writes value as JSON, or calls table.
func (f format) print(value any, table func(w io.Writer)) error {
	if f.Output != "json" {
		w := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
		table(w)
		return w.Flush()
	}
	if m, ok := value.(proto.Message); ok {
		return printProto(m)
	}
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, string(data))
	return err
}

// printProto writes a message as JSON. protojson varies its white space from
// build to build; what a program compares must not.
func printProto(m proto.Message) error {
	data, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var value json.RawMessage = data
	indented, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, string(indented))
	return err
}

// row writes one line of a table.
func row(w io.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		text := claim.Line(strings.ReplaceAll(fmt.Sprint(c), "\n", " "))
		if text == "" && i > 0 { // a line without a name goes on with the one before
			text = "-"
		}
		fmt.Fprint(w, text)
	}
	fmt.Fprintln(w)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
