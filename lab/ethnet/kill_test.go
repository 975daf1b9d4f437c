package ethnet

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bulkhead/lab/await"
)

// child makes this test program bring a lab up and wait to be killed.
const child = "BULKHEAD_ETHNET_CHILD"

type upLab struct {
	ID   string
	PIDs []int
}

func TestMain(m *testing.M) {
	BecomeAgent()
	if os.Getenv(child) != "" {
		if err := waitToBeKilled(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func waitToBeKilled() error {
	var tb testing.T
	units, fabrics := rivals(&tb)
	n, err := Start(context.Background(), units, Options{Fabrics: fabrics, Only: []string{"frontend"}})
	if err != nil {
		return err
	}
	l := upLab{ID: n.ID, PIDs: []int{n.keeper.first.Process.Pid}}
	for _, c := range n.daemons {
		l.PIDs = append(l.PIDs, c.Process.Pid)
	}
	if err := json.NewEncoder(os.Stdout).Encode(l); err != nil {
		return err
	}
	time.Sleep(await.Patience)
	return fmt.Errorf("nobody killed it")
}

// leftovers is what is there of a lab.
func leftovers(id string, pids []int) (left []string) {
	for _, pattern := range []string{filepath.Join(Base, id), filepath.Join(frrRun, pathSpacePrefix+id+"-*")} {
		found, _ := filepath.Glob(pattern)
		left = append(left, found...)
	}
	for _, pid := range pids {
		if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
			left = append(left, fmt.Sprintf("process %d: %s", pid, program))
		}
	}
	return left
}

// kill -9 of a lab's owner: its daemons end at once, with nobody's help; a sweep
// removes its folders, and leaves a lab alone whose owner lives.
func TestKilled(t *testing.T) {
	other := up(t, Options{Only: []string{"frontend"}})
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var l upLab
	err = json.NewDecoder(bufio.NewReader(out)).Decode(&l)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || len(l.PIDs) < 8 {
		t.Fatalf("the lab that is to be killed did not come up: %v %v", err, l)
	}
	err = await.Until(await.Context(t), "its processes to end", func() (string, bool) {
		left := leftovers("none", l.PIDs)
		return fmt.Sprint(left), len(left) == 0
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(leftovers(l.ID, nil)) == 0 {
		t.Fatal("its folders are gone before anybody swept: this test shows nothing")
	}
	swept, err := Sweep()
	if err != nil || !slices.Contains(swept, l.ID) || slices.Contains(swept, other.ID) {
		t.Fatalf("swept %v, error %v: expected %s among them, and not %s", swept, err, l.ID, other.ID)
	}
	if left := leftovers(l.ID, l.PIDs); len(left) > 0 {
		t.Fatalf("after the sweep there is still %v", left)
	}
	if left := leftovers(other.ID, nil); len(left) == 0 {
		t.Fatal("the sweep removed the folders of a lab that is up")
	}
}
