package draft

import "fmt"

// Note is one thing of a foreign file that the draft leaves out, or takes otherwise
// than it stands there. One oddity never refuses a site; a reader that was asked to
// be strict refuses every note.
type Note struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // from 1; 0: the whole file
	Reason string `json:"reason"`
}

func (n Note) String() string {
	if n.Line == 0 {
		return n.File + ": " + n.Reason
	}
	return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Reason)
}

// Note adds a note.
func (d *Draft) Note(file string, line int, format string, args ...any) {
	d.Notes = append(d.Notes, Note{file, line, fmt.Sprintf(format, args...)})
}

// Remark adds a remark.
func (d *Draft) Remark(format string, args ...any) {
	d.Remarks = append(d.Remarks, fmt.Sprintf(format, args...))
}
