package slurm

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"bulkhead/bench/sites"
)

// Calendar is dated leases as Slurm knows them: a reservation a step, with a
// number of nodes, which Slurm chooses when it is made. Halls that are not in
// service yet are reservations too.
type Calendar struct {
	s     *Slurm
	epoch time.Time
	held  map[string][]int32 // reservation -> nodes

	// Short counts the reservations that Slurm made with fewer nodes than were
	// asked, without an error (seen with 22.05.8). They are taken back here, as
	// whoever sells nodes would have to.
	Short int
}

// NewCalendar returns an empty calendar on a running Slurm, all of whose nodes
// are up. It begins the day after tomorrow: Slurm has no clock but its own.
func NewCalendar(s *Slurm, hallDays []int) (*Calendar, error) {
	c := &Calendar{s: s, epoch: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 2), held: map[string][]int32{}}
	for h, day := range hallDays {
		if day == 0 {
			continue
		}
		var nodes []int32
		for n, hall := range s.tree.Hall {
			if int(hall) == h {
				nodes = append(nodes, int32(n))
			}
		}
		name := fmt.Sprintf("hall%d-is-built", h)
		if text, err := s.command("scontrol", "create", "reservation", "ReservationName="+name, "StartTime="+c.on(0), "EndTime="+c.on(day),
			"Nodes="+hostLists(nodes)[0], "Users=root"); err != nil {
			return nil, fmt.Errorf("%w: %.200s", err, text)
		}
		c.held[name] = nodes
	}
	return c, nil
}

func (c *Calendar) on(day int) string {
	return c.epoch.AddDate(0, 0, day).Format("2006-01-02T15:04:05")
}

// Close removes every reservation.
func (c *Calendar) Close() error {
	for name := range c.held {
		if err := c.remove(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *Calendar) remove(name string) error {
	if _, err := c.s.command("scontrol", "delete", "ReservationName="+name); err != nil {
		return err
	}
	delete(c.held, name)
	return nil
}

// busy is what Slurm says when there are too few nodes for a reservation.
var busy = regexp.MustCompile(`(?i)requested nodes are busy|node count specification invalid|requested node configuration is not available|nodes? .*not available`)

var errShort = errors.New("fewer nodes than asked")

// Book makes a reservation for every step of an ask, or none.
func (c *Calendar) Book(b sites.Booking) (bool, error) {
	var made []string
	for i, step := range b.Steps {
		name := reservation(b, i)
		text, err := c.s.command("scontrol", "create", "reservation", "ReservationName="+name, "StartTime="+c.on(step.Day), "EndTime="+c.on(b.End),
			fmt.Sprintf("NodeCnt=%d", step.Nodes), "PartitionName=all", "Users=root")
		var nodes []int32
		if err == nil {
			made = append(made, name)
			if nodes, err = c.nodes(name); err != nil {
				return false, err
			}
			c.held[name] = nodes
			if len(nodes) == step.Nodes {
				continue
			}
			c.Short++
			text, err = "requested nodes are busy", errShort
		}
		if err != nil {
			for _, name := range made {
				if err := c.remove(name); err != nil {
					return false, err
				}
			}
			if busy.MatchString(text) {
				return false, nil
			}
			return false, fmt.Errorf("%w: %.200s", err, text)
		}
	}
	return true, nil
}

func reservation(b sites.Booking, step int) string { return fmt.Sprintf("%s.%d", b.ID, step) }

var reserved = regexp.MustCompile(`\bNodes=(\S+)`)

func (c *Calendar) nodes(name string) ([]int32, error) {
	text, err := c.s.command("scontrol", "show", "-o", "reservation", name)
	if err != nil {
		return nil, err
	}
	m := reserved.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("scontrol said %.200q of reservation %s, expected its nodes", strings.TrimSpace(text), name)
	}
	return parseHosts(m[1])
}

// Nodes returns what the reservation of a step holds.
func (c *Calendar) Nodes(b sites.Booking, step int) []int32 { return c.held[reservation(b, step)] }

// End removes the reservations of a lease, whatever the day.
func (c *Calendar) End(b sites.Booking, _ int) error {
	for i := range b.Steps {
		if err := c.remove(reservation(b, i)); err != nil {
			return err
		}
	}
	return nil
}
