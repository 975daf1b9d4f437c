package umad

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Device is one umad device of this machine.
type Device struct {
	Path string // "/dev/infiniband/umad0"
	HCA  string // "mlx5_0"
	Port int    // of the HCA, from 1
}

// madClass is where the kernel lists umad devices.
const madClass = "class/infiniband_mad"

// List reads the devices of this machine from its sysfs, os.DirFS("/sys"). It is
// an error if there are none, or if the kernel's interface is another version.
func List(sys fs.FS) ([]Device, error) {
	text, err := word(sys, path.Join(madClass, "abi_version"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("umad: no InfiniBand management here: %w (load ib_umad; is there an HCA?)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("umad: %w", err)
	}
	if text != strconv.Itoa(abiVersion) {
		return nil, fmt.Errorf("umad: the kernel speaks version %q of user_mad, expected %d", text, abiVersion)
	}
	entries, err := fs.ReadDir(sys, madClass)
	if err != nil {
		return nil, fmt.Errorf("umad: %w", err)
	}
	var devices []Device
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "umad") {
			continue
		}
		hca, err := word(sys, path.Join(madClass, e.Name(), "ibdev"))
		if err != nil {
			return nil, fmt.Errorf("umad: %w", err)
		}
		text, err := word(sys, path.Join(madClass, e.Name(), "port"))
		if err != nil {
			return nil, fmt.Errorf("umad: %w", err)
		}
		port, err := strconv.Atoi(text)
		if err != nil || port < 1 || port > 255 {
			return nil, fmt.Errorf("umad: %s: port %q, expected 1 to 255", e.Name(), text)
		}
		devices = append(devices, Device{Path: "/dev/infiniband/" + e.Name(), HCA: hca, Port: port})
	}
	if len(devices) == 0 {
		return nil, errors.New("umad: the kernel lists no umad device: is there an HCA?")
	}
	return devices, nil
}

func word(sys fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(sys, name)
	return strings.TrimSpace(string(text)), err
}
