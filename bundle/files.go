package bundle

import (
	"fmt"
	"io"

	"bulkhead/claim"
	"bulkhead/custody"
)

// ReadPolicy reads a tenant's policy file. Errors name the file and the field.
func ReadPolicy(path string) (*Policy, error) {
	data, err := custody.ReadFile(path, custody.Small)
	if err != nil {
		return nil, err
	}
	return ParsePolicy(path, data)
}

// VerifyFile verifies a bundle's file as the policy's file asks; since names the
// file of a checkpoint that the tenant kept, or is "". It writes the report to w,
// as text or, with asJSON, as JSON. The error is ErrRejected, with the reason,
// for a bundle that does not prove what the policy asks, also where it could not
// be read so far that there is a report; any other error says that nothing was
// judged, such as a file that is missing. over ends the process where it takes more
// memory than the file's size allows, see WatchMemory; the error is ErrRejected.
func VerifyFile(w io.Writer, path, policyPath, since string, asJSON bool, over func(error)) error {
	policy, err := ReadPolicy(policyPath)
	if err != nil {
		return err
	}
	var options Options
	if since != "" {
		if options.Since, err = custody.ReadFile(since, custody.Small); err != nil {
			return err
		}
	}
	file, err := custody.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	defer WatchMemory(info.Size(), func(err error) { over(fmt.Errorf("%w: %w", ErrRejected, err)) })()
	report, err := Verify(file, info.Size(), policy, options)
	if report == nil {
		return fmt.Errorf("%w: %w", ErrRejected, err)
	}
	w = &claim.Screen{W: w}
	write := report.WriteText
	if asJSON {
		write = report.WriteJSON
	}
	if printed := write(w); printed != nil {
		return printed
	}
	if err == nil && !report.Proven {
		return ErrRejected
	}
	return err
}
