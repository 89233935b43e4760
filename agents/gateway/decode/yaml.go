package decode

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	goyaml "sigs.k8s.io/yaml/goyaml.v2"
)

// maxConverted bounds the JSON that a body in YAML becomes. An alias is text each time it is used; the parser bounds how many
// values aliases may become and lets all uses of one text share it.
const maxConverted = 2 * MaxBody // bytes

// yamlToJSON converts the first document of a body as sigs.k8s.io/yaml does. What it makes is bounded before it is made.
func yamlToJSON(body []byte) ([]byte, error) {
	out, err := convertYAML(body)
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		return nil, &yamlError{err}
	}
	return out, err
}

// yamlError is the error of a body that is no YAML.
type yamlError struct{ cause error }

func (e *yamlError) Error() string { return fmt.Sprintf("error converting YAML to JSON: %v", e.cause) }

// Unwrap is the error as a client sees it.
func (e *yamlError) Unwrap() error { return apierrors.NewBadRequest(e.Error()) }

// repeatedKeys is the error about keys that an object has twice, of which the last counts; nil: there are none.
func repeatedKeys(body []byte) error {
	var doc any
	return goyaml.UnmarshalStrict(body, &doc)
}

// yamlWarnings are the lines of an error of the YAML parser.
func yamlWarnings(err error) []string {
	lines := strings.Split(strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return lines
}

func convertYAML(body []byte) ([]byte, error) {
	var doc any
	err := goyaml.Unmarshal(body, &doc)
	var c jsonWriter
	if err == nil {
		err = c.value(doc)
	}
	if errors.Is(err, errConverted) {
		return nil, &http.MaxBytesError{Limit: MaxBody}
	}
	return c.out, err
}

// Configuration is a body that is to be applied, in YAML or JSON, as JSON. With strict, twice is the error about keys that an object has
// twice; of those the last counts.
func Configuration(body []byte, strict bool) (config []byte, twice, err error) {
	config, err = convertYAML(body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, nil, err
	case err != nil:
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: error converting YAML to JSON: %v", err))
	case !strict:
		return config, nil, nil
	}
	var doc any
	if err := goyaml.UnmarshalStrict(body, &doc); err != nil {
		return config, fmt.Errorf("error converting YAML to JSON: %w", err), nil
	}
	return config, nil, nil
}

var errConverted = errors.New("the document is too large as JSON")

// jsonWriter writes the values that a YAML document consists of as JSON.
type jsonWriter struct{ out []byte }

// reserve checks that n more bytes may be written.
func (c *jsonWriter) reserve(n int) error {
	if len(c.out)+n > maxConverted {
		return errConverted
	}
	return nil
}

func (c *jsonWriter) text(s string) error {
	if err := c.reserve(len(s) + 2); err != nil {
		return err
	}
	if plainText(s) {
		c.out = append(append(append(c.out, '"'), s...), '"')
		return nil
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return c.raw(string(quoted))
}

// plainText returns whether a text between quotes is JSON.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (c *jsonWriter) raw(text string) error {
	if err := c.reserve(len(text)); err != nil {
		return err
	}
	c.out = append(c.out, text...)
	return nil
}

func (c *jsonWriter) value(v any) error {
	switch v := v.(type) {
	case map[any]any:
		return c.object(v)
	case []any:
		return c.list(v)
	case nil:
		return c.raw("null")
	case string:
		return c.text(v)
	case bool:
		return c.raw(strconv.FormatBool(v))
	case int:
		return c.raw(strconv.Itoa(v))
	}
	other, err := json.Marshal(v) // numbers of other types, which are short
	if err != nil {
		return err
	}
	return c.raw(string(other))
}

func (c *jsonWriter) list(list []any) error {
	if err := c.raw("["); err != nil {
		return err
	}
	for i, v := range list {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.value(v); err != nil {
			return err
		}
	}
	return c.raw("]")
}

// object writes members in the order of their names. Of keys that become one name the last in some order counts, as in
// sigs.k8s.io/yaml.
func (c *jsonWriter) object(m map[any]any) error {
	type member struct {
		name  string
		value any
	}
	members := make([]member, 0, len(m))
	for key, value := range m {
		name, err := memberName(key, value)
		if err != nil {
			return err
		}
		members = append(members, member{name, value})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	members = slices.CompactFunc(members, func(a, b member) bool { return a.name == b.name })
	if err := c.raw("{"); err != nil {
		return err
	}
	for i, m := range members {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.text(m.name); err != nil {
			return err
		}
		c.out = append(c.out, ':')
		if err := c.value(m.value); err != nil {
			return err
		}
	}
	return c.raw("}")
}

// memberName is a YAML key as the name of a JSON member.
func memberName(key, value any) (string, error) {
	switch k := key.(type) {
	case string:
		return k, nil
	case int:
		return strconv.Itoa(k), nil
	case int64:
		return strconv.FormatInt(k, 10), nil
	case bool:
		return strconv.FormatBool(k), nil
	case float64:
		switch {
		case math.IsNaN(k):
			return ".nan", nil
		case math.IsInf(float64(float32(k)), 1):
			return ".inf", nil
		case math.IsInf(float64(float32(k)), -1):
			return "-.inf", nil
		}
		return strconv.FormatFloat(k, 'g', -1, 32), nil
	}
	return "", fmt.Errorf("unsupported map key of type: %s, key: %s, value: %s", reflect.TypeOf(key), shown(key), shown(value))
}

// shown is the start of a value in Go's syntax. What aliases can make large is not written out.
func shown(v any) string {
	switch v.(type) {
	case map[any]any, []any:
		return fmt.Sprintf("%T", v)
	}
	const most = 100 // bytes
	text := fmt.Sprintf("%+#v", v)
	return text[:min(len(text), most)]
}
