package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"bulkhead/claim"
	"bulkhead/custody"
)

// ReadConfig reads what an agent is told into c, from a file of JSON. Unknown fields are
// refused, and what check says against it.
func ReadConfig(path string, c any, check func() error) error {
	data, err := custody.ReadFile(path, custody.Small)
	if err != nil {
		return fmt.Errorf("configuration of the agent: %w", err)
	}
	err = claim.Exact(data, custody.Small, c)
	if err == nil {
		err = check()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// CheckPlaces refuses a state folder or a socket that is no absolute path.
func CheckPlaces(state, socket string) error {
	if !filepath.IsAbs(state) || !filepath.IsAbs(socket) {
		return fmt.Errorf("state %q, socket %q: expected absolute paths", state, socket)
	}
	return nil
}

// ReadState reads a file of JSON of a state folder into v. None is no error.
func ReadState(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		// Lenient JSON: another release of the agent may have written it, with a field more or less.
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// WriteState puts v into a state folder as a file of JSON, durably.
func WriteState(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return custody.Replace(path, data)
}
