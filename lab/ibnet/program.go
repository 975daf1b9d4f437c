package ibnet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Missing says which of the packages that a lab with OpenSM needs is not
// installed, or "".
func Missing() string {
	if _, err := find("opensm"); err != nil {
		return "opensm"
	}
	if _, err := library(); err != nil {
		return "libumad2sim0"
	}
	return ""
}

// library is where the library lies by which unchanged programs of libibumad talk
// to ibsim, or to an emulated fabric.
func library() (string, error) {
	for _, path := range preload {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("libumad2sim is not installed: apt-get install libumad2sim0")
}

// Command makes the command of an unchanged program, as opensm or smpquery, that
// sits on a host of the fabric of that name. What it keeps and says goes to a
// folder of its own in dir (said). Once started it ends with this process, however
// that ends.
func Command(program, fabric, host, dir string, args ...string) (*exec.Cmd, error) {
	path, err := find(program)
	if err != nil {
		return nil, fmt.Errorf("%s is not installed: %w", program, err)
	}
	library, err := library()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, program+"-at-"+host)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir // libumad2sim writes where it runs
	cmd.Env = append(os.Environ(), "IBSIM_SOCKNAME="+fabric, "SIM_HOST="+host, "LD_PRELOAD="+library, "OSM_CACHE_DIR="+dir, "OSM_TMP_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}

// StartCommand starts a command of Command and lets what it says go to the file said in
// its folder.
func StartCommand(cmd *exec.Cmd) error {
	out, err := os.Create(filepath.Join(cmd.Dir, "said"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	return cmd.Start()
}
