package schema

import (
	"bytes"
	"fmt"
)

// MaxObjects is how many objects and nulls one document from a client may have. Each becomes a Go struct of up to some
// hundred bytes, however short its text is: three bytes are enough for a container. No object that
// fits into etcd needs so many.
const MaxObjects = 50_000

// CheckSize refuses JSON with more than MaxObjects objects and nulls. The data need not be valid.
func CheckSize(data []byte) error {
	const shortest = len("{},")
	if len(data) < shortest*MaxObjects || bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("null")) <= MaxObjects {
		return nil
	}
	n, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == 'n':
			n++
		}
	}
	if n > MaxObjects {
		return fmt.Errorf("the document has %d objects, limit is %d", n, MaxObjects)
	}
	return nil
}

// MaxDepth is how deep objects and lists may be nested where a client's JSON is kept as it is (managed fields) and where a patch
// is applied. The types themselves are a tenth as deep.
const MaxDepth = 200

// CheckDepth refuses JSON that is nested deeper than MaxDepth. The data need not be valid.
func CheckDepth(data []byte) error {
	level, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if level++; level > MaxDepth {
				return fmt.Errorf("nested deeper than %d levels", MaxDepth)
			}
		case c == '}' || c == ']':
			level--
		}
	}
	return nil
}

// MaxWidth is how many members an object, or elements a list, may have where its fields are managed: the sets of fields are sorted lists.
const MaxWidth = 20_000

// CheckWidth refuses JSON with an object or a list of more than MaxWidth members. The data need not be valid.
func CheckWidth(data []byte) error {
	var members [MaxDepth + 1]int // by level
	level, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			if level++; level > MaxDepth {
				return fmt.Errorf("nested deeper than %d levels", MaxDepth)
			}
			members[level] = 1
		case c == '}' || c == ']':
			level = max(0, level-1)
		case c == ',':
			if members[level]++; members[level] > MaxWidth {
				return fmt.Errorf("an object or a list has more than %d members", MaxWidth)
			}
		}
	}
	return nil
}
