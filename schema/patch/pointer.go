package patch

import (
	"fmt"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// unescape reads the escapes of a JSON pointer (RFC 6901).
var unescape = strings.NewReplacer("~1", "/", "~0", "~").Replace

// find is the place that a JSON pointer leads to: the key in what it is in. What it is in may be neither object nor list.
func (d *document) find(path string) (on place, key string, ok bool) {
	at := place{node: d.root, self: d.original}
	if path == "" {
		return at, "", true
	}
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return at, "", false
	}
	for i, part := range parts[1 : len(parts)-1] {
		below, err := at.get(unescape(part))
		if err != nil || !below.parse(i+1) {
			return at, "", false
		}
		at = place{node: below}
	}
	return at, unescape(parts[len(parts)-1]), true
}

// place is an object or list that an operation reads or changes.
type place struct {
	*node
	self *node // what the empty name means: the root's value for the root, else nothing
}

func (p place) get(key string) (*node, error) {
	if key == "" {
		return p.self, nil
	}
	if !p.parse(0) {
		return nil, jsonpatch.ErrExpectedObject
	}
	if p.object != nil {
		if value, ok := p.object.get(key); ok {
			return value, nil
		}
		return nil, fmt.Errorf("unable to get nonexistent key: %s: %w", key, jsonpatch.ErrMissing)
	}
	i, err := p.index(key, p.list.size-1)
	if err != nil {
		return nil, err
	}
	return p.list.get(i), nil
}

// set is of a replacement: the key is there.
func (p place) set(key string, value *node) error {
	if !p.parse(0) {
		return jsonpatch.ErrExpectedObject
	}
	if p.object != nil {
		p.object.set(key, value)
		return nil
	}
	i, err := p.index(key, p.list.size-1)
	if err == nil {
		p.list.set(i, value)
	}
	return err
}

func (p place) add(key string, value *node) error {
	if !p.parse(0) {
		return jsonpatch.ErrExpectedObject
	}
	switch {
	case p.object != nil:
		p.object.set(key, value)
		return nil
	case key == "-":
		p.list.insert(p.list.size, value)
		return nil
	}
	if _, err := strconv.Atoi(key); err != nil {
		return fmt.Errorf("value was not a proper array index: '%s': %w", key, err)
	}
	i, err := p.index(key, p.list.size)
	if err == nil {
		p.list.insert(i, value)
	}
	return err
}

func (p place) remove(key string) error {
	if !p.parse(0) {
		return jsonpatch.ErrExpectedObject
	}
	if p.object != nil {
		if !p.object.remove(key) {
			return fmt.Errorf("unable to remove nonexistent key: %s: %w", key, jsonpatch.ErrMissing)
		}
		return nil
	}
	i, err := p.index(key, p.list.size-1)
	if err == nil {
		p.list.remove(i)
	}
	return err
}

// index reads a list's index up to last; a negative one counts from behind the last.
func (p place) index(key string, last int) (int, error) {
	i, err := strconv.Atoi(key)
	if err != nil {
		return 0, err
	}
	at := i
	if at < 0 {
		at += last + 1
	}
	if at < 0 || at > last {
		//lint:ignore ST1005 the client sees this sentence as json-patch writes it
		return 0, fmt.Errorf("Unable to access invalid index: %d: %w", i, jsonpatch.ErrInvalidIndex)
	}
	return at, nil
}
