package ibnet

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed rmpp/*.c
var rmppSources embed.FS

// MultiPacket makes programs that are started from now on send and receive datagrams of
// many packets, which libumad2sim cuts to one: it builds the libraries of the folder
// rmpp, which do what a kernel does, and has them loaded around it. It skips the test if
// there is no C compiler.
func (s *Sim) MultiPacket(tb testing.TB) {
	tb.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		tb.Skip("needs a C compiler: apt-get install gcc libc6-dev")
	}
	build := func(name string) string {
		text, err := rmppSources.ReadFile("rmpp/" + name + ".c")
		if err != nil {
			tb.Fatal(err)
		}
		source, library := filepath.Join(s.Dir, name+".c"), filepath.Join(s.Dir, name+".so")
		if err := os.WriteFile(source, text, 0o600); err != nil {
			tb.Fatal(err)
		}
		if said, err := exec.Command(cc, "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl", "-pthread").CombinedOutput(); err != nil {
			tb.Fatalf("%v: %s", err, said)
		}
		return library
	}
	s.before, s.after = build("rmpp")+":", ":"+build("tail")
}
