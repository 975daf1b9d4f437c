package ethnet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Base holds a folder a lab, with a lock that its owner holds as long as it lives.
const Base = "/run/bulkhead-lab-eth"

// frrRun is where FRR's daemons keep their sockets, a folder a path space.
const frrRun = "/var/run/frr"

// pathSpacePrefix begins the names of the path spaces of labs.
const pathSpacePrefix = "bulkhead-"

func pathSpace(id string, device int) string {
	return fmt.Sprintf("%s%s-%d", pathSpacePrefix, id, device)
}

// lockFolder makes a folder whose lock is held. The lock is taken before the folder
// has its name, so that nobody finds it unlocked.
func lockFolder(dir string) (*os.File, error) {
	hidden, err := os.MkdirTemp(Base, ".")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(hidden, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Create(filepath.Join(hidden, "lock"))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, err
	}
	if err := os.Rename(hidden, dir); err != nil {
		lock.Close()
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
			err = fmt.Errorf("ethnet: a lab %s is there already", filepath.Base(dir))
		}
		return nil, errors.Join(err, os.RemoveAll(hidden))
	}
	return lock, nil
}

var named = regexp.MustCompile(`^[a-z0-9]{1,12}$`)

// validID reports whether a lab may have this id. Folders, path spaces and sockets are
// named by it; without a dash in it, no pattern for one lab fits those of another.
func validID(id string) bool { return named.MatchString(id) }

// owned reports whether a lab's owner lives; there is none where the lab is not.
func owned(id string) bool {
	lock, err := os.Open(filepath.Join(Base, id, "lock"))
	if err != nil {
		return false
	}
	defer lock.Close()
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// Sweep removes what labs left whose owner was killed, and returns their ids. The
// processes and namespaces of such a lab ended with its owner.
func Sweep() (swept []string, err error) {
	entries, err := os.ReadDir(Base)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		lock, err := os.Open(filepath.Join(Base, e.Name(), "lock"))
		if err != nil {
			continue // another sweep is at it
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			if err := remove(e.Name()); err != nil {
				lock.Close()
				return swept, err
			}
			swept = append(swept, e.Name())
		}
		lock.Close()
	}
	return swept, nil
}

// remove removes a lab's folders.
func remove(id string) error {
	spaces, err := filepath.Glob(filepath.Join(frrRun, pathSpacePrefix+id+"-*"))
	for _, s := range spaces {
		err = errors.Join(err, os.RemoveAll(s))
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(Base, id)))
}
