package sites

import (
	"reflect"
	"testing"
)

func TestFilesReadBackAsWritten(t *testing.T) {
	tree := NewTree("test", 2, 2, 150)
	back, err := DecodeTree(tree.Encode())
	if err != nil || !reflect.DeepEqual(tree, back) {
		t.Fatalf("the tree read back is another one: %v", err)
	}
	if h, p, s, r := tree.Count(); h != 2 || p != 4 || s != 12 || r != 76 {
		t.Fatalf("%d/%d/%d/%d, expected 2/4/12/76", h, p, s, r)
	}
	for _, percent := range []int{0, 25, 50, 75} {
		o := Occupy(tree, percent, 7)
		back, err := DecodeOccupancy(o.Encode())
		if err != nil || !reflect.DeepEqual(o, back) {
			t.Fatalf("%d %%: the occupancy read back is another one: %v", percent, err)
		}
		if again := Occupy(tree, percent, 7); !reflect.DeepEqual(o, again) {
			t.Fatalf("%d %%: the same seed gave another occupancy", percent)
		}
		failed, taken := 0, 0
		for _, h := range o.Holder {
			switch {
			case h == Failed:
				failed++
			case h != Free:
				taken++
			}
		}
		if want := tree.Nodes() * percent / 100; taken > want || taken < want*9/10 {
			t.Errorf("%d %%: %d of %d nodes are taken", percent, taken, tree.Nodes())
		}
		if percent == 0 && failed != 0 {
			t.Errorf("%d nodes of the empty site have failed", failed)
		}
	}
}

func TestHostileFilesAreRefused(t *testing.T) {
	for _, text := range []string{"", "nodes 0\n", "nodes 4\nfailed 4\n", "nodes 4\ntenant-1 0-2\ntenant-2 2\n", "nodes 4\ntenant-0 1\n", "nodes 4\ntenant-1 3-1\n", "nodes 4\nfailed x\n"} {
		if _, err := DecodeOccupancy([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestRanges(t *testing.T) {
	for text, nodes := range map[string][]int32{"0": {0}, "0-1": {0, 1}, "3,5-7,9": {3, 5, 6, 7, 9}} {
		if got := Ranges(nodes); got != text {
			t.Errorf("%v: %q, expected %q", nodes, got, text)
		}
		if got, err := ParseRanges(text); err != nil || !reflect.DeepEqual(got, nodes) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestStreamsReadBackAndKeepTheirShape(t *testing.T) {
	tree := NewTree("test", 4, 4, 3125)
	failures := Failures(tree, 30, 1)
	if perDay := float64(len(failures)) / 30; perDay < 170 || perDay > 205 {
		t.Errorf("%.0f failures a day, published are 189", perDay)
	}
	data := EncodeFailures(failures)
	back, err := DecodeFailures(data, tree.Nodes())
	if err != nil || len(back) != len(failures) || !reflect.DeepEqual(EncodeFailures(back), data) {
		t.Errorf("failures read back as others: %v", err)
	}
	for _, text := range []string{"1 2 3\n", "1 50000 3 1\n", "2 1 1 0\n1 1 1 0\n", "1 1 -1 0\n", "1 1 NaN 0\n", "1 1 1 2\n"} {
		if _, err := DecodeFailures([]byte(text), tree.Nodes()); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	for seed := range uint64(5) {
		bookings := Calendar(seed)
		back, err := DecodeBookings(EncodeBookings(bookings))
		if err != nil || !reflect.DeepEqual(back, bookings) {
			t.Errorf("bookings read back as others: %v", err)
		}
		if bookings[0].Nodes() != 27_500 || bookings[1].Nodes() != 13_750 || len(bookings) < 50 {
			t.Errorf("%d bookings, the large ones of %d and %d nodes", len(bookings), bookings[0].Nodes(), bookings[1].Nodes())
		}
	}
	if _, err := DecodeBookings([]byte(`[{"id":"a","asked":5,"steps":[{"day":4,"nodes":1}],"end":9,"gone":9}]`)); err == nil {
		t.Error("a booking that begins before it is asked was read")
	}
}
